"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table('rendering',
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
    sa.Column('dated', sa.Date(), nullable=True),
    sa.PrimaryKeyConstraint('record_id', 'order'),
    schema='render'
    )
    op.create_index(op.f('ix_render_rendering_batch_id'), 'rendering', ['batch_id'], unique=False, schema='render')
