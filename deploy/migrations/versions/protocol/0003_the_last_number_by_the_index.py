"""The last number by the index: `max` read all entries of the year at each insert, until their table was analyzed."""

from alembic import op

revision = '0003'
down_revision = '0002'

REFUSAL = "register: an entry is never changed, and numbers follow"
FOLLOWS = f"""
CREATE OR REPLACE FUNCTION protocol.check_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.number IS DISTINCT FROM 1 + coalesce((
        SELECT number FROM protocol.register_entry
        WHERE register_key = NEW.register_key AND year = NEW.year ORDER BY number DESC LIMIT 1
    ), 0) OR EXISTS (SELECT 1 FROM protocol.register_entry WHERE key = NEW.key) THEN
        RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.execute(FOLLOWS)
