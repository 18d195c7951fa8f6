"""Online rules: traces that are carried forward in time, on a task each and against backpropagation."""
