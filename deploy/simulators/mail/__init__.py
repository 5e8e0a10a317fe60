"""A mail server that delivers to nobody: real SMTP with login, everything accepted kept on disk, faults on command."""

from deploy.simulators.mail.faults import Fault, FaultKind
from deploy.simulators.mail.simulator import MailSimulator

__all__ = ["Fault", "FaultKind", "MailSimulator"]
