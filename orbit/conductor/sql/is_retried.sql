-- What is set of a parent whose failed children are to be retried.
{{goes_on}},
is_retrying = true,
retried_up_to = 0
