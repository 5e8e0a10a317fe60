"""A record's sections stand apart from its content, and so a stage's word is written without all the rest."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'

SECTIONS = ('position', 'documents', 'registration', 'sending')


def upgrade() -> None:
    for name in ('content', *SECTIONS):
        op.add_column('record', sa.Column(name, sa.JSON(), nullable=True), schema='status')
    op.add_column('record', sa.Column('registers', sa.Boolean(), server_default='false', nullable=False), schema='status')
    op.add_column('record', sa.Column('reference', sa.String(), server_default='', nullable=False), schema='status')
    op.execute(
        "UPDATE status.record SET content = record::jsonb - '{position,documents,registration,sending}'::text[],"
        " position = record->'position', documents = record->'documents', registration = record->'registration',"
        " sending = record->'sending', registers = record->'protocol' IS NOT NULL,"
        " reference = coalesce(record->>'reference', ''),"
        " haystack = trim(haystack || ' ' || lower(coalesce(record->>'reference', '')))"
        " WHERE json_typeof(record) = 'object'"
    )
    for name in ('cells', 'preview'):
        op.execute(f"UPDATE status.record SET {name} = NULL WHERE json_typeof({name}) = 'null'")
    for name in ('registers', 'reference'):
        op.alter_column('record', name, server_default=None, schema='status')
    op.drop_column('record', 'record', schema='status')
