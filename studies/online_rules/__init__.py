"""Online rules: traces that are carried forward in time, beside backpropagation."""
