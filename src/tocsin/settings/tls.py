"""TLS to a server, for every source and responder that connects to one."""

from __future__ import annotations

import ssl

from tocsin.errors import ParameterError
from tocsin.settings import PathSetting, Settings


class Tls(Settings):
    """TLS: ``{}`` trusts what this machine trusts, ``ca`` only the certificates of that file.

    ``certificate`` and ``key``: files by which this client authenticates itself.
    """

    ca: PathSetting | None = None
    certificate: PathSetting | None = None
    key: PathSetting | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context. Raises ParameterError for a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path)
            raise ParameterError(f"TLS cannot be set up from {files}: {error}.") from error
        return context
