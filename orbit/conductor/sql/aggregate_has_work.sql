-- Tell whether aggregate has anything to do.
SELECT {{aggregate_waits}}
