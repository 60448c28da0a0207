/*
 * Reading directories: entries come by the bufferful, from whoever makes calls on files.
 */
#define _GNU_SOURCE /* O_DIRECTORY */
#include "base/os.h"
#include "io/file.h"
#include "mem/heap.h"

#include <fcntl.h>
#include <leat/file.h>
#include <leat/io.h>
#include <string.h>

/* As the kernel writes them, each at a multiple of 8 bytes. */
struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t bytes; /* of the whole entry */
    uint8_t type;
    char name[];
};

#define BUFFER_BYTES 16384u

struct leat_dir {
    int fd;
    size_t used, at; /* bytes of the buffer that are filled, that have been handed out */
    uint64_t buffer[BUFFER_BYTES / sizeof(uint64_t)];
};

static leat_dir *dir_alloc(void)
{
    struct lea_worker *m = lea_enter();
    leat_dir *dir = lea_heap_alloc(sizeof(*dir));

    if (m)
        lea_leave(m);
    return dir;
}

static void dir_free(leat_dir *dir)
{
    struct lea_worker *m = lea_enter();

    lea_heap_free(dir, sizeof(*dir));
    if (m)
        lea_leave(m);
}

int leat_dir_open(leat_dir **out, const char *path, leat_deadline until)
{
    leat_dir *dir = dir_alloc();

    *out = NULL;
    if (!dir)
        return -ENOMEM;
    dir->used = dir->at = 0;
    dir->fd = leat_open(path, O_RDONLY | O_DIRECTORY, 0, until);
    if (dir->fd < 0) {
        int r = dir->fd;

        dir_free(dir);
        return r;
    }
    *out = dir;
    return 0;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int leat_dir_next(leat_dir *dir, leat_dirent *out, leat_deadline until)
{
    const struct entry *e;

    do {
        if (dir->at >= dir->used) {
            struct lea_file_call c = {
                .op = LEA_FILE_GETDENTS, .fd = dir->fd, .out = dir->buffer, .bytes = BUFFER_BYTES};
            ssize_t r = lea_file_on_fd(&c, until.ns);

            if (r <= 0)
                return (int)r;
            dir->used = (size_t)r;
            dir->at = 0;
        }
        e = (const struct entry *)(const void *)((const char *)dir->buffer + dir->at);
        dir->at += e->bytes;
    } while (is_dots(e->name));
    *out = (leat_dirent){.name = e->name, .inode = e->inode, .type = e->type};
    return 1;
}

void leat_dir_close(leat_dir *dir)
{
    if (!dir)
        return;
    (void)leat_close(dir->fd);
    dir_free(dir);
}
