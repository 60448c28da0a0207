/*
 * The tightest CPU quota around us. /proc/self/cgroup says where we are in each hierarchy,
 * /proc/self/mountinfo where hierarchies can be seen and from which of their directories on; from
 * our directory every step up to the mount point is read, since a limit may stand on any of them.
 *
 * Always: only directories that are our own cgroup or an ancestor of it are read. A hybrid system
 * shows both versions; the one without the cpu controller has no limit files, and so does not
 * count.
 */
#include "base/cgroup.h"

#include "base/number.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 16384 /* a mountinfo line of an overlay can fill several pages */

/* --- lines of a file that may be long --- */

struct lines {
    int fd;
    size_t from, to; /* what was read and not yet handed out */
    char buf[LINE_BYTES];
};

static int lines_open(struct lines *l, const char *root, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s%s", root, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    l->from = l->to = 0;
    l->fd = lea_os_open(path, O_RDONLY | O_CLOEXEC, 0);
    return l->fd < 0 ? l->fd : 0;
}

/*
 * Makes room and reads more. Bytes read; 0 at the end, on an error, and when one line fills the
 * buffer.
 */
static size_t lines_fill(struct lines *l)
{
    ssize_t n;

    memmove(l->buf, l->buf + l->from, l->to - l->from);
    l->to -= l->from;
    l->from = 0;
    if (l->to == sizeof(l->buf) - 1)
        return 0;
    do {
        n = lea_os_read(l->fd, l->buf + l->to, sizeof(l->buf) - 1 - l->to);
    } while (n == -EINTR);
    if (n <= 0)
        return 0;
    l->to += (size_t)n;
    return (size_t)n;
}

/*
 * The next line without its end, NULL after the last. A line beyond the buffer comes in pieces,
 * which then do not parse.
 */
static char *lines_next(struct lines *l)
{
    for (;;) {
        char *line = l->buf + l->from;
        char *end = memchr(line, '\n', l->to - l->from);

        if (end) {
            *end = '\0';
            l->from = (size_t)(end + 1 - l->buf);
            return line;
        }
        if (lines_fill(l) > 0)
            continue;
        if (l->from == l->to)
            return NULL;
        l->buf[l->to] = '\0';
        line = l->buf + l->from;
        l->from = l->to;
        return line;
    }
}

/* --- where we are --- */

/*
 * Our directory in the hierarchies that can limit CPU time, relative to the root of our cgroup
 * namespace; "" not in one.
 */
struct membership {
    char v1[PATH_MAX];
    char v2[PATH_MAX];
};

static bool list_has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (;;) {
        if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
            return true;
        list = strchr(list, ',');
        if (!list)
            return false;
        list++;
    }
}

static void membership_take(char *out, const char *path)
{
    /* our directory was removed under us; its ancestors are still there */
    static const char deleted[] = " (deleted)";
    size_t len = strlen(path);
    size_t tail = sizeof(deleted) - 1;

    if (len >= tail && strcmp(path + len - tail, deleted) == 0)
        len -= tail;
    if (path[0] != '/' || len >= PATH_MAX)
        return;
    memcpy(out, path, len);
    out[len] = '\0';
}

/*
 * Lines are "id:controllers:path"; a path may hold colons. Version 2 is hierarchy 0 without
 * controllers.
 */
static int membership_read(struct membership *m, struct lines *l, const char *root)
{
    int err = lines_open(l, root, "/proc/self/cgroup");
    char *line;

    m->v1[0] = m->v2[0] = '\0';
    if (err)
        return err;
    while ((line = lines_next(l))) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!path)
            continue;
        *controllers++ = '\0';
        *path++ = '\0';
        if (*controllers == '\0' && strcmp(line, "0") == 0)
            membership_take(m->v2, path);
        else if (list_has_word(controllers, "cpu"))
            membership_take(m->v1, path);
    }
    lea_os_close(l->fd);
    return 0;
}

/* --- where hierarchies are mounted --- */

struct mount {
    char *top;     /* directory of the hierarchy that the mount shows as its own root */
    char *point;   /* where it is mounted */
    char *type;    /* file system type */
    char *options; /* of the file system: for version 1 the controllers are among them */
};

/* Undo the kernel's octal escapes (\040 and the like) in place. */
static void unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

/* "id parent device top point options [optional…] - type source super-options" */
static bool mount_parse(struct mount *out, char *line)
{
    enum { NR_LEADING = 6 };
    char *field[NR_LEADING];
    char *word = line;

    for (int i = 0; i < NR_LEADING; i++)
        if (!(field[i] = strsep(&line, " ")))
            return false;
    while ((word = strsep(&line, " ")) && strcmp(word, "-") != 0)
        continue;
    out->top = field[3];
    out->point = field[4];
    out->type = strsep(&line, " ");
    (void)strsep(&line, " ");
    out->options = strsep(&line, " ");
    if (!out->options || out->top[0] != '/' || out->point[0] != '/')
        return false;
    unescape(out->top);
    unescape(out->point);
    return true;
}

/* How many ".." a path from the root of a cgroup namespace begins with, and what follows them. */
static unsigned leading_ups(const char **path)
{
    unsigned n = 0;

    while (strncmp(*path, "/..", 3) == 0 && ((*path)[3] == '/' || (*path)[3] == '\0')) {
        *path += 3;
        n++;
    }
    return n;
}

/*
 * Our directory @self as a path below a mount that shows the hierarchy from @top on: "" or "/a/b".
 * NULL: it does not show us. Both may lie outside of our cgroup namespace ("/..", "/../b"). When
 * @top is further up than we can name, the mount point alone is known to be an ancestor.
 */
static const char *path_below(const char *top, const char *self)
{
    unsigned top_ups = leading_ups(&top);
    unsigned self_ups = leading_ups(&self);
    size_t len = strlen(top);

    if (len == 1) /* "/" is no name to match */
        len = 0;
    if (top_ups > self_ups)
        return len == 0 ? "" : NULL;
    if (top_ups < self_ups || strncmp(self, top, len) != 0)
        return NULL;
    self += len;
    if (*self != '/' && *self != '\0')
        return NULL;
    return self[0] == '/' && self[1] == '\0' ? "" : self;
}

/* --- limits --- */

/* Whole CPUs, rounded up; 0 no limit. */
static unsigned whole_cpus(uint64_t quota_us, uint64_t period_us)
{
    uint64_t n;

    if (quota_us == 0 || period_us == 0)
        return 0;
    n = quota_us / period_us + (quota_us % period_us != 0);
    return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

/* Reads file @name in the directory @dir, which has room for the name behind its @len bytes. */
static bool read_in_dir(char *dir, size_t size, size_t len, const char *name, char *buf,
                        size_t buf_size)
{
    int n = snprintf(dir + len, size - len, "/%s", name);
    bool ok = n > 0 && (size_t)n < size - len && lea_os_read_file(dir, buf, buf_size) > 0;

    dir[len] = '\0';
    return ok;
}

/* A number and nothing else but a line end: "max" and "-1" are not. */
static bool number_line(const char *text, uint64_t *out)
{
    return lea_number_scan(&text, out) && (*text == '\0' || *text == '\n');
}

static unsigned limit_of_dir(char *dir, size_t size, size_t len, bool v2)
{
    char text[64];
    const char *at = text;
    uint64_t quota, period;

    if (v2) { /* "quota period" or "max period" */
        if (!read_in_dir(dir, size, len, "cpu.max", text, sizeof(text)))
            return 0;
        if (!lea_number_scan(&at, &quota) || *at++ != ' ' || !number_line(at, &period))
            return 0;
        return whole_cpus(quota, period);
    }
    if (!read_in_dir(dir, size, len, "cpu.cfs_quota_us", text, sizeof(text)) ||
        !number_line(text, &quota))
        return 0;
    if (!read_in_dir(dir, size, len, "cpu.cfs_period_us", text, sizeof(text)) ||
        !number_line(text, &period))
        return 0;
    return whole_cpus(quota, period);
}

/* 0 stands for "no limit" on either side. */
static unsigned tighter(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* From our directory up to the mount point, both included. */
static unsigned limit_of_mount(const char *root, const struct mount *mount, const char *below,
                               bool v2)
{
    char dir[2 * PATH_MAX];
    size_t top_len = strlen(root) + strlen(mount->point);
    int n = snprintf(dir, sizeof(dir), "%s%s%s", root, mount->point, below);
    size_t len = (size_t)n;
    unsigned limit = 0;

    if (n < 0 || len >= sizeof(dir))
        return 0;
    for (;;) {
        limit = tighter(limit, limit_of_dir(dir, sizeof(dir), len, v2));
        if (len <= top_len)
            return limit;
        while (dir[--len] != '/')
            continue;
        dir[len] = '\0';
    }
}

unsigned lea_cgroup_cpus(const char *root)
{
    struct lines lines;
    struct membership self;
    struct mount mount;
    unsigned limit = 0;
    char *line;

    if (membership_read(&self, &lines, root) != 0 ||
        lines_open(&lines, root, "/proc/self/mountinfo") != 0)
        return 0;
    while ((line = lines_next(&lines))) {
        const char *below = NULL;
        bool v2;

        if (!mount_parse(&mount, line))
            continue;
        v2 = strcmp(mount.type, "cgroup2") == 0;
        if (v2 && self.v2[0])
            below = path_below(mount.top, self.v2);
        else if (self.v1[0] && strcmp(mount.type, "cgroup") == 0 &&
                 list_has_word(mount.options, "cpu"))
            below = path_below(mount.top, self.v1);
        if (below)
            limit = tighter(limit, limit_of_mount(root, &mount, below, v2));
    }
    lea_os_close(lines.fd);
    return limit;
}
