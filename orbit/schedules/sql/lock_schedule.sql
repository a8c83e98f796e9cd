-- params: id int
SELECT {{schedule_columns}} FROM django_q_schedule WHERE id = %(id)s FOR UPDATE
