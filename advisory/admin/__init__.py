"""The console's pages of advice."""

<<<<<<< HEAD
from advisory.admin import proposals, signals

__all__ = ["proposals", "signals"]
=======
from advisory.admin import autonomy

__all__ = ["autonomy"]
>>>>>>> trunk
