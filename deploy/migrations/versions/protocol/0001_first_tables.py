"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None

REFUSAL = "register: an entry is never changed, and numbers follow"
KEPT = f"""
CREATE FUNCTION protocol.refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER register_entry_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON protocol.register_entry
    EXECUTE FUNCTION protocol.refuse_entry();
"""
FOLLOWS = f"""
CREATE FUNCTION protocol.check_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.number IS DISTINCT FROM 1 + (
        SELECT coalesce(max(number), 0) FROM protocol.register_entry
        WHERE register_key = NEW.register_key AND year = NEW.year
    ) OR EXISTS (SELECT 1 FROM protocol.register_entry WHERE key = NEW.key) THEN
        RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER register_entry_follows BEFORE INSERT ON protocol.register_entry
    FOR EACH ROW EXECUTE FUNCTION protocol.check_entry();
"""


def upgrade() -> None:
    op.create_table('protocol_ledger',
    sa.Column('record_id', sa.Uuid(), nullable=False),
    sa.Column('order', sa.Integer(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('issue', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('fingerprint', sa.String(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('request', sa.JSON(), nullable=False),
    sa.Column('section', sa.JSON(), nullable=True),
    sa.Column('lease_owner', sa.String(), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('clock_behind', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('record_id', 'order'),
    schema='protocol'
    )
    op.create_index(op.f('ix_protocol_protocol_ledger_batch_id'), 'protocol_ledger', ['batch_id'], unique=False, schema='protocol')
    op.create_table('register_entry',
    sa.Column('register_key', sa.String(), nullable=False),
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('registered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('direction', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('recipient', sa.String(), nullable=False),
    sa.Column('classification', sa.String(), nullable=False),
    sa.Column('office', sa.String(), nullable=False),
    sa.Column('dossier', sa.String(), nullable=False),
    sa.Column('document_type', sa.String(), nullable=False),
    sa.Column('documents', sa.JSON(), nullable=False),
    sa.Column('record_id', sa.Uuid(), nullable=False),
    sa.Column('order', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('register_key', 'year', 'number'),
    sa.UniqueConstraint('key'),
    schema='protocol',
    info={'rights': 'SELECT, INSERT'}
    )
    op.create_table('register_head',
    sa.Column('register_key', sa.String(), nullable=False),
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('registered_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('register_key'),
    schema='protocol'
    )
    op.execute(KEPT)
    op.execute(FOLLOWS)
