SET statement_timeout = '20s';
SET lock_timeout = '5s'
