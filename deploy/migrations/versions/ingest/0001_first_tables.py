"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table('batch',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('client', sa.String(), nullable=False),
    sa.Column('request_id', sa.String(), nullable=False),
    sa.Column('by', sa.String(), nullable=False),
    sa.Column('creditor', sa.String(), nullable=False),
    sa.Column('options', sa.JSON(), nullable=False),
    sa.Column('sheet', sa.JSON(), nullable=False),
    sa.Column('file_name', sa.String(), nullable=False),
    sa.Column('until', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('reading', sa.JSON(), nullable=False),
    sa.Column('ingested', sa.Boolean(), nullable=False),
    sa.Column('merging', sa.Boolean(), nullable=False),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('cancelling', sa.Boolean(), nullable=False),
    sa.Column('cancelled', sa.Boolean(), nullable=False),
    sa.Column('stated', sa.String(), nullable=False),
    sa.Column('cancelled_counts', sa.JSON(), nullable=False),
    sa.Column('turn', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='ingest'
    )
    op.create_index('batch_turn', 'batch', ['creditor', 'turn'], unique=False, schema='ingest')
    op.create_table('client_day',
    sa.Column('client', sa.String(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('requests', sa.Integer(), nullable=False),
    sa.Column('records', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('client', 'day'),
    schema='ingest'
    )
    op.create_table('client_request',
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('client', sa.String(), nullable=False),
    sa.Column('request_id', sa.String(), nullable=False),
    sa.Column('stated', sa.Boolean(), nullable=False),
    sa.Column('told', sa.String(), nullable=False),
    sa.Column('again', sa.Boolean(), nullable=False),
    sa.Column('again_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('batch_id'),
    schema='ingest'
    )
    op.create_index(op.f('ix_ingest_client_request_again'), 'client_request', ['again'], unique=False, schema='ingest')
    op.create_table('heard_restated',
    sa.Column('request_id', sa.Uuid(), nullable=False),
    sa.Column('service', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('request_id', 'service'),
    schema='ingest'
    )
    op.create_table('lane',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('answered', sa.BigInteger(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('recent', sa.JSON(), nullable=False),
    sa.Column('in_flight', sa.Integer(), nullable=False),
    sa.Column('looked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('probe_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('name'),
    schema='ingest'
    )
    op.create_table('lane_word',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answered', sa.Integer(), nullable=False),
    sa.Column('closed_until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    schema='ingest'
    )
    op.create_index(op.f('ix_ingest_lane_word_lane'), 'lane_word', ['lane'], unique=False, schema='ingest')
    op.create_table('row',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('creditor', sa.String(), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('phase', sa.String(), nullable=False),
    sa.Column('step', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('issue', sa.Integer(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('overdue_at', sa.BigInteger(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('sheet_hash', sa.String(), nullable=False),
    sa.Column('duplicate', sa.String(), nullable=False),
    sa.Column('record', sa.JSON(), nullable=True),
    sa.Column('orders', sa.JSON(), nullable=False),
    sa.Column('warnings', sa.JSON(), nullable=False),
    sa.Column('problems', sa.JSON(), nullable=False),
    sa.Column('cells', sa.JSON(), nullable=False),
    sa.Column('correction', sa.JSON(), nullable=True),
    sa.Column('errand', sa.String(), nullable=False),
    sa.Column('preview', sa.String(), nullable=False),
    sa.Column('previewed', sa.JSON(), nullable=True),
    sa.Column('news', sa.Integer(), nullable=False),
    sa.Column('told', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='ingest'
    )
    op.create_index('row_by_number', 'row', ['batch_id', 'number'], unique=False, schema='ingest')
    op.create_index('row_by_phase', 'row', ['batch_id', 'phase', 'state', 'number'], unique=False, schema='ingest')
    op.create_index('row_in_flight', 'row', ['state', 'phase', 'step', 'creditor', 'channel', 'errand'], unique=False, schema='ingest')
    op.create_index('row_to_issue', 'row', ['batch_id', 'errand', 'state', 'step', 'channel', 'next_at', 'number'], unique=False, schema='ingest')
    op.create_index('row_to_preview', 'row', ['batch_id', 'preview', 'number'], unique=False, schema='ingest')
    op.create_index('row_to_tell', 'row', ['batch_id'], unique=False, schema='ingest', sqlite_where=sa.text('news > told'), postgresql_where=sa.text('news > told'))
    op.create_index('row_to_withdraw', 'row', ['batch_id', 'errand', 'state', 'next_at'], unique=False, schema='ingest')
    op.create_table('taken_command',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('answer', sa.JSON(), nullable=False),
    sa.Column('refused', sa.Boolean(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='ingest'
    )
