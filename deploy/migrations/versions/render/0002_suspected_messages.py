"""suspected messages."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.create_table('suspects',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('begun', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='render'
    )
