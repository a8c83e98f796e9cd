"""Indexes for what people look for in long lists: what isn't as it mostly is, and the value ledger by namespace."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orbit', '0008_rerun'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='deadletterdispatch', name='dead_letter_open_group'),
        migrations.AddIndex(model_name='deadletterdispatch', index=models.Index(fields=['error_group', 'id'], name='dead_letter_group')),
        migrations.AddIndex(
            model_name='deadletterdispatch',
            index=models.Index(condition=models.Q(('status__in', ['requeued', 'dismissed', 'delivered_late'])), fields=['status', '-id'], name='dead_letter_resolved'),
        ),
        migrations.AddIndex(
            model_name='transformation',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'failed'])), fields=['status', '-id'], name='transformation_notable'),
        ),
        migrations.AddIndex(
            model_name='valueledgerentry',
            index=models.Index(fields=['namespace', '-id'], name='ledger_namespace'),
        ),
    ]
