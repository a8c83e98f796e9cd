-- A condition, that of an index: fan-out has to look at a parent.
-- args: parent
NOT {{parent}}.is_fanned_out AND NOT {{parent}}.is_cancelling
