"""Why a sender fails and what helps, in the languages of letters other than English: English is
written from the diagnosis itself, which knows more of the server."""

from collections.abc import Mapping
from types import MappingProxyType

from portal.letters.words import Language
from portal.smtp.causes import Cause

_LATER = "稍后会自动重试。"
_TLS = "请检查服务器名称、端口和加密方式；公司自有证书请在发件账户中粘贴公司的 CA 证书。"
_PORT = "请检查端口、防火墙、出站规则和代理；25 端口常被封锁，465 和 587 很少被封锁。"
_TOKEN = "请检查令牌地址；如果是内部地址，请系统管理员确认本系统可以连接。"
_MODE = "请选择 STARTTLS（通常为 587 端口）或 SSL/TLS（通常为 465 端口）。"
_CHINESE: Mapping[Cause, tuple[str, str]] = MappingProxyType(
    {
        Cause.NAME_NOT_FOUND: ("找不到该服务器名称。", "请检查服务器名称的拼写。"),
        Cause.NAME_LOOKUP_FAILED: (
            "服务器名称的查询没有得到应答。",
            "请几分钟后再试；如果一直如此，请检查本系统的域名服务器。",
        ),
        Cause.FORBIDDEN_DESTINATION: (
            "本系统不允许连接该地址。",
            "请系统管理员把该服务器及其端口加入允许的目的地。",
        ),
        Cause.CONNECT_TIMEOUT: ("该端口没有应答。", _PORT),
        Cause.CONNECT_REFUSED: ("该端口没有应答。", _PORT),
        Cause.UNREACHABLE: (
            "没有这个服务器，那里没有邮件服务器应答，或者本系统不允许连接。",
            "请检查服务器名称的拼写和端口，并向系统管理员确认本系统可以连接该服务器。",
        ),
        Cause.TLS_WRONG_VERSION: ("该端口不是从第一个字节开始加密的。", _MODE),
        Cause.TLS_UNTRUSTED: ("服务器的证书不受信任。", _TLS),
        Cause.TLS_WRONG_NAME: ("服务器的证书属于另一个名称。", _TLS),
        Cause.TLS_EXPIRED: ("服务器的证书不在有效期内。", "请联系服务器的管理员更新证书。"),
        Cause.TLS_AUTHORITY_EXPIRED: (
            "在发件账户中粘贴的 CA 证书已过期。",
            "请向 CA 的管理员索取现行证书，并粘贴以替换旧证书。",
        ),
        Cause.TLS_OLD_PROTOCOL: (
            "服务器只支持旧版 TLS。",
            "请联系服务器的管理员启用 TLS 1.2 或更高版本。",
        ),
        Cause.TLS_FAILED: ("未能建立加密连接。", _TLS),
        Cause.NO_GREETING: ("服务器没有及时应答。", f"如果端口是 465，请选择 SSL/TLS。{_LATER}"),
        Cause.GREETING_REFUSED: (
            "服务器拒绝来自本系统的连接。",
            "请向邮件服务器的管理员确认本系统的地址是否被阻止。",
        ),
        Cause.BUSY: ("服务器繁忙。", f"{_LATER}如果一直如此，请降低发送速率或连接数。"),
        Cause.EHLO_REFUSED: (
            "服务器拒绝本系统的计算机名称。",
            "请在发件账户的高级设置中填写 EHLO 名称，例如发件域名。",
        ),
        Cause.STARTTLS_MISSING: ("服务器不提供 STARTTLS。", _MODE),
        Cause.STARTTLS_REFUSED: ("服务器拒绝 STARTTLS。", _MODE),
        Cause.CLEAR_LOGIN_FORBIDDEN: (
            "不允许在未加密的连接上登录。",
            "请选择加密方式；只有系统管理员可以允许未加密登录。",
        ),
        Cause.AUTH_MISSING: (
            "服务器不提供登录。",
            "请检查端口和加密方式；受信任的中继请选择“无身份验证”。",
        ),
        Cause.AUTH_UNSUPPORTED: (
            "服务器不提供本系统支持的登录方式。",
            "请联系服务器的管理员启用 PLAIN、LOGIN 或 OAuth2 登录。",
        ),
        Cause.AUTH_NTLM_ONLY: (
            "服务器只提供 NTLM 登录。",
            "请联系服务器的管理员启用基本身份验证，或使用受信任的中继。",
        ),
        Cause.AUTH_REFUSED: (
            "服务器拒绝该用户名或密码。",
            "请检查两者。许多服务商要求授权码或应用专用密码；修改邮箱密码后需要重新获取。",
        ),
        Cause.AUTH_TEMPORARY: ("服务器暂时无法验证登录。", f"{_LATER}如果一直如此，请联系服务商。"),
        Cause.OAUTH_UNSUPPORTED: (
            "服务器不提供 OAuth2 登录。",
            "请选择其他身份验证方式，或检查服务器名称。",
        ),
        Cause.OAUTH_INCOMPLETE: ("OAuth2 设置不完整。", "请在发件账户中补全 OAuth2 设置。"),
        Cause.TOKEN_UNAVAILABLE: ("令牌端点没有给出令牌，或者本系统不允许连接。", _TOKEN),
        Cause.TOKEN_REFUSED: (
            "OAuth2 登录被拒绝。",
            "请检查客户端 ID、密钥和权限；密钥可能已到期，请创建新密钥后测试并保存。",
        ),
        Cause.ENCRYPTION_REQUIRED: ("服务器要求先加密再登录。", _MODE),
        Cause.SENDER_REFUSED: (
            "服务器拒绝该发件地址。",
            "请使用属于该登录账户的发件地址，并检查拼写。",
        ),
        Cause.SENDER_TEMPORARY: ("服务器暂时不接受该发件地址的邮件。", _LATER),
        Cause.SENDER_UNPROVEN: (
            "发件域名没有授权这台服务器发信（SPF、DKIM 或 DMARC）。",
            "请在该域名的 DNS 中为这台服务器设置 SPF 和 DKIM，或使用属于该服务器的发件地址。",
        ),
        Cause.ADDRESS_BLOCKED: (
            "服务器拦截了发信的网络地址：该地址在黑名单中、信誉不佳或没有反向 DNS。",
            "请通过服务商的服务器发信，或申请将该地址移出黑名单，并为其设置反向 DNS。",
        ),
        Cause.COMMAND_REFUSED: (
            "服务器不接受会话中的命令，原因不在邮件本身。",
            "请检查服务器、端口，以及是否需要登录；如果一直如此，请查看邮件服务器的日志。",
        ),
        Cause.RECIPIENT_REFUSED: ("服务器拒绝该收件人。", "请检查地址。"),
        Cause.RECIPIENT_TEMPORARY: ("服务器暂时不接受发给该收件人的邮件。", _LATER),
        Cause.RELAY_DENIED: (
            "服务器不为该发件账户转发邮件。",
            "请检查是否需要登录，并请服务器的管理员允许本系统转发邮件。",
        ),
        Cause.QUOTA: ("服务商的发送配额已用完。", "配额恢复后会自动继续；请降低速率或提高配额。"),
        Cause.SIZE_EXCEEDED: ("邮件超过服务器允许的大小。", "请缩短邮件或减小附件。"),
        Cause.CONTENT_REFUSED: ("服务器拒绝这封邮件。", "请查看服务器的答复。"),
        Cause.CONTENT_TEMPORARY: ("服务器暂时不接受这封邮件。", _LATER),
        Cause.UTF8_NEEDED: ("地址中含有该服务器不支持的字符。", "请使用只含英文字母的地址。"),
        Cause.TIMEOUT: ("服务器停止应答。", f"{_LATER}如果一直如此，请检查服务器、网络和代理。"),
        Cause.CONNECTION_LOST: (
            "服务器关闭了连接。",
            f"{_LATER}如果一直如此，请查看邮件服务器的日志。",
        ),
        Cause.LOST_AFTER_DOT: ("邮件的最终答复没有到达，可能已经送出。", "请向收件人确认。"),
        Cause.TIMEOUT_AFTER_DOT: ("邮件的最终答复没有到达，可能已经送出。", "请向收件人确认。"),
        Cause.PROTOCOL_ERROR: (
            "收到的答复不是来自邮件服务器。",
            "请检查服务器和端口：那里可能是其他服务或代理。",
        ),
        Cause.REPLY_TOO_LONG: (
            "收到的答复不是来自邮件服务器。",
            "请检查服务器和端口：那里可能是其他服务或代理。",
        ),
    }
)
_WORDS: Mapping[Language, Mapping[Cause, tuple[str, str]]] = {"zh": _CHINESE}


def reason(cause: str | None, otherwise: str | None, language: Language) -> str | None:
    """What it is; `otherwise` where the language has no words for it."""
    found = _found(cause, language)
    return found[0] if found else otherwise


def cure(cause: str | None, otherwise: str | None, language: Language) -> str | None:
    """What helps, on the same terms."""
    found = _found(cause, language)
    return found[1] if found else otherwise


def _found(cause: str | None, language: Language) -> tuple[str, str] | None:
    words = _WORDS.get(language, {})
    return words.get(Cause(cause)) if cause in set(Cause) else None
