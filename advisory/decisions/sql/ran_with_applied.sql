-- The cycle `c` of the run profile `ran` has ended since `p.started_at`, with the revision that the
-- approval of `p` made. Cancelled cycles show nothing of a change.
-- args: c, ran, p
{{c}}.run_profile_id = {{ran}}.run_profile_id
AND {{c}}.id >= {{p}}.first_id
AND {{c}}.status IN ('success', 'partial_success', 'failed')
AND {{c}}.finished_at > {{p}}.started_at
AND {{c}}.profile_id = {{p}}.profile_id
AND {{p}}.applied_revision = CASE
    WHEN {{p}}.run_profile_id IS NULL THEN {{c}}.profile_revision ELSE {{c}}.run_profile_revision
END
