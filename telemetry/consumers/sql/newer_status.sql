-- Whether the status of ``excluded`` is newer than the row's. Ranks: -1 reset, 0 no status event.
(CASE
    WHEN p.status_rank <= 0 AND excluded.status_rank <> p.status_rank
        THEN excluded.status_rank > p.status_rank
    WHEN excluded.status_rank = 0 THEN
        p.status_rank = 0 AND excluded.last_status_ts < p.last_status_ts
    ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id)
        > (p.last_status_ts, p.status_rank, p.status_event_id)
END)
