"""
Outbox to mail server: what has been committed gets sent, however long that takes.

``loop`` chooses what goes next and sends it, ``copies`` knows what an answer means for each
recipient, ``patience`` who is left alone and until when, and ``ledger`` writes down what became of
it.  Which alerts share a mail is decided in ``core.mailing``.
"""

from alertd.delivery.loop import Delivery, EmailSettings, Notifier
from alertd.delivery.patience import retry_delay

__all__ = ["Delivery", "EmailSettings", "Notifier", "retry_delay"]
