"""What several studies share: results, files that outlive an interruption, figures, reports."""
