"""Sums by hour and day, and what the overview last read."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orbit', '0012_seen_marks'),
    ]

    operations = [
        migrations.CreateModel(
            name='OverviewFacts',
            fields=[
                ('scope', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('taken_at', models.DateTimeField()),
                ('facts', models.JSONField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='RollUpMark',
            fields=[
                ('kind', models.CharField(max_length=20, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('after', models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name='CycleDay',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('namespace', models.CharField(max_length=100)),
                ('day', models.DateField()),
                ('success', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('partial_success', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('failed', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('cancelled', models.PositiveBigIntegerField(db_default=0, default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'namespace'), name='one_row_per_cycle_day')],
            },
        ),
        migrations.CreateModel(
            name='DeliveryHour',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('namespace', models.CharField(max_length=100)),
                ('hour', models.DateTimeField()),
                ('delivered', models.PositiveBigIntegerField(db_default=0, default=0)),
                ('dead', models.PositiveBigIntegerField(db_default=0, default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('hour', 'namespace'), name='one_row_per_delivery_hour')],
            },
        ),
    ]
