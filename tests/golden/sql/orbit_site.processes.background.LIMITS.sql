SET statement_timeout = '60s';
SET lock_timeout = '2s'
