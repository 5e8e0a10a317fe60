"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table('iuv_burnt',
    sa.Column('creditor', sa.String(), nullable=False),
    sa.Column('nav', sa.String(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('burnt_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('creditor', 'nav'),
    schema='iuv'
    )
    op.create_table('iuv_counter',
    sa.Column('creditor', sa.String(), nullable=False),
    sa.Column('segregation_code', sa.String(), nullable=False),
    sa.Column('next_number', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('creditor', 'segregation_code'),
    schema='iuv'
    )
    op.create_table('iuv_ledger',
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
    sa.Column('creditor', sa.String(), nullable=True),
    sa.Column('iupd', sa.String(), nullable=True),
    sa.Column('number', sa.BigInteger(), nullable=True),
    sa.Column('nav', sa.String(), nullable=True),
    sa.Column('exhausted_issue', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('record_id', 'order'),
    sa.UniqueConstraint('creditor', 'iupd'),
    sa.UniqueConstraint('creditor', 'nav'),
    schema='iuv'
    )
    op.create_index(op.f('ix_iuv_iuv_ledger_batch_id'), 'iuv_ledger', ['batch_id'], unique=False, schema='iuv')
