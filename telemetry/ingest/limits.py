"""How much one request or one event may hold."""

MIB = 1024 * 1024
#: Bytes of a request's body, as sent and unpacked.
LARGEST_REQUEST, LARGEST_UNPACKED = 16 * MIB, 64 * MIB
#: Events of a request.
MOST_EVENTS = 200_000
#: Bytes of one event, and levels of its metadata.
LARGEST_EVENT, MOST_DEPTH = 64 * 1024, 64
#: Rejections in an answer; those beyond are counted only.
MOST_REJECTIONS = 1_000
