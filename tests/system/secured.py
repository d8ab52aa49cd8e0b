"""An aggregator that `aperture-aggregator setup` has secured, and clients of it that trust its CA."""

import http.client
import json
import re
import ssl
import subprocess

from daemons import AGGREGATOR, Aggregator, environment

JOIN = re.compile(r"aperture://(apt_[0-9a-f]{48})@[^?]+\?ca=[0-9a-f]{64}")


def command(folder, *args, **kwargs):
    """aperture-aggregator on the data of the aggregator in that folder; what it says on stdout."""
    r = subprocess.run([AGGREGATOR, *args, "--data-dir", folder / "data", "--config", "/dev/null"], text=True,
                       capture_output=True, timeout=60, env=environment(), **kwargs)
    assert r.returncode == 0, r.stderr
    return r.stdout


def setup(folder):
    """Runs the set-up; its join string."""
    folder.mkdir(parents=True, exist_ok=True)
    said = command(folder, "setup", "--config-dir", folder / "etc", "--host", "127.0.0.1",
                   "--grpc-listen", "127.0.0.1:50051", "--listen", "127.0.0.1:9090")
    return JOIN.search(said).group(0)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Secured(Aggregator):
    """On free ports; `admin` and `push` are the tokens that the set-up made."""

    def __init__(self, folder, *args):
        self.join = setup(folder)
        self.push = JOIN.search(self.join).group(1)
        self.admin = (folder / "etc/admin-token").read_text()
        self.ca, self.tls = folder / "etc/ca.pem", folder / "data/tls"
        super().__init__(folder, "--auth", "token", "--tls-cert", self.tls / "server.pem",
                         "--tls-key", self.tls / "server-key.pem", *args)
        self.url = self.url.replace("http:", "https:")

    def context(self, cert=None):
        context = ssl.create_default_context(cafile=self.ca)
        if cert:
            context.load_cert_chain(*cert)
        return context

    def connect(self, context=None):
        return http.client.HTTPSConnection("127.0.0.1", self.ports["http"], timeout=60,
                                           context=context or self.context())

    def ask(self, path, method="GET", body=None, token=None, headers=None, connection=None):
        """`body`: JSON text, or what becomes it."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        c = connection or self.connect()
        try:
            c.request(method, path, body=body, headers=headers)
            return Answer(c.getresponse())
        finally:
            if not connection:
                c.close()

    def make_token(self, name, role, *args):
        return command(self.folder, "token", "create", name, "--role", role, *args).strip()

    def channel(self, token=None, cert=None, key=None):
        import grpc

        tls = grpc.ssl_channel_credentials(self.ca.read_bytes(), key, cert)
        return TokenChannel(grpc.secure_channel(self.grpc, tls, options=[
            ("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]), token)


class TokenChannel:
    """A channel whose calls carry a token, as metadata of their own: TLS or not."""

    def __init__(self, channel, token):
        self.channel = channel
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def unary_unary(self, *args, **kwargs):
        call = self.channel.unary_unary(*args, **kwargs)
        return lambda request, timeout=30: call(request, timeout=timeout, metadata=self.metadata,
                                                wait_for_ready=False)

    def unary_stream(self, *args, **kwargs):
        return self.channel.unary_stream(*args, **kwargs)

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def sign(folder, name):
    """A client's certificate and key, made by openssl and signed by the set-up's CA."""
    key, request, cert = (folder / f"{name}.{e}" for e in ("key", "csr", "pem"))
    for args in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                  "-subj", f"/CN={name}", "-out", request],
                 ["x509", "-req", "-in", request, "-CA", folder / "etc/ca.pem", "-CAkey", folder / "etc/ca-key.pem",
                  "-CAcreateserial", "-days", "2", "-out", cert]):
        subprocess.run(["openssl", *args], check=True, capture_output=True)
    return cert, key
