"""Indexes for what people look for in long lists of operation runs."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0004_halts'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='operationrun',
            index=models.Index(condition=models.Q(('scope__isnull', False)), fields=['-id'], name='operation_scoped'),
        ),
        migrations.AddIndex(
            model_name='operationrun',
            index=models.Index(condition=models.Q(('outcome__in', ['partially_succeeded', 'failed', 'skipped', 'cancelled'])), fields=['outcome', '-id'], name='operation_notable'),
        ),
        migrations.AddIndex(
            model_name='operationrunitem',
            index=models.Index(condition=models.Q(('outcome__in', ['failed', 'skipped'])), fields=['outcome', '-run', '-object_id'], name='operation_item_notable'),
        ),
    ]
