from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class CreateNamespaceRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class CreateNamespaceResponse(_message.Message):
    __slots__ = ("namespace", "status")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    status: Status
    def __init__(self, namespace: _Optional[str] = ..., status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class GetKeyRequest(_message.Message):
    __slots__ = ("key", "namespace", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class GetKeyResponse(_message.Message):
    __slots__ = ("key", "namespace", "value", "status", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    value: bytes
    status: Status
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., value: _Optional[bytes] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class PutKeyRequest(_message.Message):
    __slots__ = ("key", "namespace", "value", "ttl_ms", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    value: bytes
    ttl_ms: int
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., value: _Optional[bytes] = ..., ttl_ms: _Optional[int] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class PutKeyResponse(_message.Message):
    __slots__ = ("key", "status", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    status: Status
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class DeleteKeyRequest(_message.Message):
    __slots__ = ("key", "namespace", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class DeleteKeyResponse(_message.Message):
    __slots__ = ("key", "status", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    status: Status
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("prefix", "namespace", "limit", "prefix_bytes", "start_after")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_BYTES_FIELD_NUMBER: _ClassVar[int]
    START_AFTER_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    namespace: str
    limit: int
    prefix_bytes: bytes
    start_after: bytes
    def __init__(self, prefix: _Optional[str] = ..., namespace: _Optional[str] = ..., limit: _Optional[int] = ..., prefix_bytes: _Optional[bytes] = ..., start_after: _Optional[bytes] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys", "status", "keys_bytes", "next_start_after")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEYS_BYTES_FIELD_NUMBER: _ClassVar[int]
    NEXT_START_AFTER_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    status: Status
    keys_bytes: _containers.RepeatedScalarFieldContainer[bytes]
    next_start_after: bytes
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., keys_bytes: _Optional[_Iterable[bytes]] = ..., next_start_after: _Optional[bytes] = ...) -> None: ...

class CompareAndSwapRequest(_message.Message):
    __slots__ = ("key", "namespace", "expected", "newValue", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    NEWVALUE_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    expected: bytes
    newValue: bytes
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., expected: _Optional[bytes] = ..., newValue: _Optional[bytes] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class CompareAndSwapResponse(_message.Message):
    __slots__ = ("key", "namespace", "swapped", "status", "key_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SWAPPED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    namespace: str
    swapped: bool
    status: Status
    key_bytes: bytes
    def __init__(self, key: _Optional[str] = ..., namespace: _Optional[str] = ..., swapped: bool = ..., status: _Optional[_Union[Status, _Mapping]] = ..., key_bytes: _Optional[bytes] = ...) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "status")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    status: Status
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class GetNamespaceRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class GetNamespaceResponse(_message.Message):
    __slots__ = ("namespace", "status", "keys", "bytes", "revision")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    status: Status
    keys: int
    bytes: int
    revision: int
    def __init__(self, namespace: _Optional[str] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., keys: _Optional[int] = ..., bytes: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class DropNamespaceRequest(_message.Message):
    __slots__ = ("namespace",)
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class DropNamespaceResponse(_message.Message):
    __slots__ = ("namespace", "status")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    status: Status
    def __init__(self, namespace: _Optional[str] = ..., status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...
