"""The hash of the settings of each cluster."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orbit', '0015_open_letters_by_cycle'),
    ]

    operations = [
        migrations.AddField(
            model_name='clusternode',
            name='settings_sha256',
            field=models.CharField(db_default='', default='', max_length=64),
        ),
    ]
