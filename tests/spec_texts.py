"""Specs that more than one module of tests runs."""

DEADLOCK = """
setup { CREATE TABLE spec_account (id int PRIMARY KEY); INSERT INTO spec_account VALUES (1), (2); }
teardown { DROP TABLE spec_account; }
session A
setup { BEGIN; }
step a1 { SELECT id FROM spec_account WHERE id = 1 FOR UPDATE; }
step a2 { SELECT id FROM spec_account WHERE id = 2 FOR UPDATE; }
step ac { COMMIT; }
session B
setup { BEGIN; SET LOCAL deadlock_timeout = '10s'; }
step b1 { SELECT id FROM spec_account WHERE id = 1 FOR UPDATE; }
step b2 { SELECT id FROM spec_account WHERE id = 2 FOR UPDATE; }
step bc { COMMIT; }
permutation a1 b2 a2 b1 ac bc
permutation a1 a2 ac b2 b1 bc
"""
ONE = "session s step a { SELECT 1 AS one; } step b { SELECT current_setting('transaction_isolation'); }"
