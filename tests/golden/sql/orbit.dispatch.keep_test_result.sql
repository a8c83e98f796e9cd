UPDATE orbit_endpointstate
SET tests = jsonb_path_query_array(jsonb_build_array(%(test)s::jsonb) || tests, '$[0 to 5]')
WHERE endpoint_key = %(endpoint_key)s
AND host = %(host)s
