"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table('batch',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('creditor', sa.String(), nullable=False),
    sa.Column('payment_type', sa.String(), nullable=False),
    sa.Column('file_name', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('options', sa.JSON(), nullable=True),
    sa.Column('ingested', sa.JSON(), nullable=True),
    sa.Column('ingested_revision', sa.Integer(), nullable=False),
    sa.Column('until', sa.String(), nullable=False),
    sa.Column('until_revision', sa.Integer(), nullable=False),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('paused_revision', sa.Integer(), nullable=False),
    sa.Column('milestone', sa.String(), nullable=False),
    sa.Column('milestone_revision', sa.Integer(), nullable=False),
    sa.Column('cancelled', sa.Boolean(), nullable=False),
    sa.Column('cancelled_counts', sa.JSON(), nullable=True),
    sa.Column('refusal', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    schema='status'
    )
    op.create_index(op.f('ix_status_batch_created_at'), 'batch', ['created_at'], unique=False, schema='status')
    op.create_table('command',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=True),
    sa.Column('request_key', sa.String(), nullable=True),
    sa.Column('request_print', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('kept_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('publish_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published', sa.Integer(), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('rows', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('request_key'),
    schema='status'
    )
    op.create_index(op.f('ix_status_command_answer'), 'command', ['answer'], unique=False, schema='status')
    op.create_index(op.f('ix_status_command_batch_id'), 'command', ['batch_id'], unique=False, schema='status')
    op.create_table('lane',
    sa.Column('stage', sa.String(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('closed_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('stage', 'lane'),
    schema='status'
    )
    op.create_table('problem',
    sa.Column('record_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('column', sa.String(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('warning', sa.Boolean(), nullable=False),
    sa.Column('proposal', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('record_id', 'position'),
    schema='status'
    )
    op.create_index('ix_problem_cause', 'problem', ['batch_id', 'warning', 'code', 'column', 'row'], unique=False, schema='status')
    op.create_table('record',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('row_revision', sa.Integer(), nullable=False),
    sa.Column('content_revision', sa.Integer(), nullable=False),
    sa.Column('content_orders', sa.Integer(), nullable=False),
    sa.Column('rejected', sa.Boolean(), nullable=False),
    sa.Column('record', sa.JSON(), nullable=True),
    sa.Column('cells', sa.JSON(), nullable=True),
    sa.Column('orders', sa.JSON(), nullable=False),
    sa.Column('issues', sa.JSON(), nullable=False),
    sa.Column('troubles', sa.JSON(), nullable=False),
    sa.Column('answers', sa.JSON(), nullable=False),
    sa.Column('preview', sa.JSON(), nullable=True),
    sa.Column('preview_revision', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('phase', sa.String(), nullable=False),
    sa.Column('stage', sa.String(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('trouble', sa.String(), nullable=False),
    sa.Column('waiting_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('warnings', sa.Integer(), nullable=False),
    sa.Column('debtor_name', sa.String(), nullable=False),
    sa.Column('fiscal_code', sa.String(), nullable=False),
    sa.Column('notice_code', sa.String(), nullable=False),
    sa.Column('iuv', sa.String(), nullable=False),
    sa.Column('protocol_number', sa.String(), nullable=False),
    sa.Column('amount_cents', sa.BigInteger(), nullable=False),
    sa.Column('due_date', sa.Date(), nullable=True),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('haystack', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='status'
    )
    op.create_index('ix_record_batch_row', 'record', ['batch_id', 'row', 'id'], unique=False, schema='status')
    op.create_index('ix_record_batch_state', 'record', ['batch_id', 'state', 'amount_cents'], unique=False, schema='status')
    op.create_index('ix_record_state', 'record', ['state', 'amount_cents'], unique=False, schema='status')
    op.create_table('removed',
    sa.Column('record_id', sa.Uuid(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('record_id'),
    schema='status'
    )
    op.create_table('timeline',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('batch_id', sa.Uuid(), nullable=False),
    sa.Column('record_id', sa.Uuid(), nullable=True),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('restated', sa.Boolean(), nullable=False),
    sa.Column('stage', sa.String(), nullable=False),
    sa.Column('order', sa.Integer(), nullable=False),
    sa.Column('issue', sa.Integer(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('code', sa.String(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    schema='status'
    )
    op.create_index(op.f('ix_status_timeline_batch_id'), 'timeline', ['batch_id'], unique=False, schema='status')
    op.create_index(op.f('ix_status_timeline_record_id'), 'timeline', ['record_id'], unique=False, schema='status')
