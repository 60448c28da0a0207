# Cross build for aarch64 with Debian's gcc-aarch64-linux-gnu; what it builds runs by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
# Programs are the host's; libraries are the target's. Headers: libatomic_ops is one set for every architecture, in /usr/include,
# and only base/atomic.h's own find_path looks there.
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# Static: no dynamic loader of the target is needed to run them
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
