"""One comparison of all learning rules, on one task and many neurons."""
