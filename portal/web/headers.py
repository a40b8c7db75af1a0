"""Security headers on every answer."""

from flask import Response, request
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XFrameOptions

_POLICY = (
    ContentSecurityPolicy()
    .default_src("'none'")
    .style_src("'self'")
    .script_src("'self'")
    .img_src("'self'", "data:")
    .font_src("'self'")
    .connect_src("'self'")
    .frame_src("'self'")
    .form_action("'self'")
    .base_uri("'none'")
    .frame_ancestors("'none'")
)
_secure = Secure(
    csp=_POLICY,
    referrer=ReferrerPolicy().no_referrer(),
    xfo=XFrameOptions().deny(),
)


def protect(response: Response) -> Response:
    """Add the policy unless the handler set its own, and keep pages with data out of caches."""
    for name, value in _secure.headers.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
