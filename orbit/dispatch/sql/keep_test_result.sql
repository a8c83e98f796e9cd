-- Keep what became of a test delivery beside the results before it; the newest come first.
-- params: endpoint_key text, host text, test jsonb
UPDATE orbit_endpointstate
SET tests = jsonb_path_query_array(
    jsonb_build_array(%(test)s::jsonb) || tests, '$[0 to {{kept}}]'   -- one more than are listed
)
WHERE endpoint_key = %(endpoint_key)s AND host = %(host)s
