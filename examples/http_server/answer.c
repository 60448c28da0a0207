/*
 * answer.c - what a request gets: the greeting, the counters, a file, or the reason why not.
 */
#define _GNU_SOURCE
#include "http_server.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/*
 * --- Answers: text appended behind the requests, written when the buffer is full or before the
 * next read. ---
 */

void flush(struct conn *c)
{
    if (c->out_len > 0 && c->error == 0) {
        ssize_t n = leat_write_all(c->fd, c->buf + c->out_at, c->out_len,
                                   leat_after(c->server->timeout_ns));

        if (n < 0)
            c->error = (int)n;
    }
    c->out_len = 0;
}

static void put(struct conn *c, const char *text, size_t len)
{
    while (len > 0 && c->error == 0) {
        size_t room = BUF_BYTES - c->out_at - c->out_len;
        size_t part = len < room ? len : room;

        memcpy(c->buf + c->out_at + c->out_len, text, part);
        c->out_len += part;
        text += part;
        len -= part;
        if (len > 0)
            flush(c);
    }
}

void put_text(struct conn *c, const char *text)
{
    put(c, text, strlen(text));
}

static void put_number(struct conn *c, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    put(c, digits + at, sizeof(digits) - at);
}

/*
 * Each connection has its own copy of the date, made once a second: cheap enough, and nothing is
 * shared.
 */
static void put_date(struct conn *c)
{
    time_t now = time(NULL);
    struct tm tm;

    if (now != c->date_at) {
        c->date_at = now;
        strftime(c->date, sizeof(c->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
                 gmtime_r(&now, &tm));
    }
    put_text(c, c->date);
}

/* @extra: more header lines, or "" */
static void put_head(struct conn *c, enum http_status status, const char *type, uint64_t body_bytes,
                     const char *extra)
{
    if (status == HTTP_STATUS_OK) {
        put_text(c, "HTTP/1.1 200 OK\r\n");
    } else {
        put_text(c, "HTTP/1.1 ");
        put_number(c, status);
        put_text(c, " ");
        put_text(c, http_status_str(status));
        put_text(c, "\r\n");
    }
    put_date(c);
    put_text(c, "Content-Type: ");
    put_text(c, type);
    put_text(c, "\r\nContent-Length: ");
    put_number(c, body_bytes);
    if (!c->keep_alive)
        put_text(c, "\r\nConnection: close");
    else if (c->parser.http_minor == 0)
        put_text(c, "\r\nConnection: keep-alive");
    put_text(c, "\r\n");
    put_text(c, extra);
    put_text(c, "\r\n");
}

static void answer_text(struct conn *c, enum http_status status, const char *extra,
                        const char *body, size_t len)
{
    put_head(c, status, "text/plain; charset=utf-8", len, extra);
    if (!c->head)
        put(c, body, len);
}

void answer_status(struct conn *c, enum http_status status, const char *extra)
{
    const char *text = http_status_str(status);

    answer_text(c, status, extra, text, strlen(text));
}

/* --- GET /stats ------------------------------------------------------------------------------- */

static const struct column {
    const char *name;
    size_t offset;
} columns[] = {
#define COLUMN(name)                                                                               \
    {                                                                                              \
#name, offsetof(leat_stats, name)                                                          \
    }
    COLUMN(run),        COLUMN(stolen),  COLUMN(parked),  COLUMN(woken),  COLUMN(spawned),
    COLUMN(ended),      COLUMN(readied), COLUMN(yielded), COLUMN(steals), COLUMN(injected),
    COLUMN(wakes),      COLUMN(slept),   COLUMN(polls),   COLUMN(events), COLUMN(timers),
    COLUMN(overflowed), COLUMN(slices),  COLUMN(queued),
#undef COLUMN
};

static void print_total(FILE *out, const char *label, uint64_t value)
{
    fprintf(out, "%s %llu\n", label, (unsigned long long)value);
}

static void print_row(FILE *out, const char *label, const leat_stats *row)
{
    fprintf(out, "%-4s", label);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        uint64_t value;

        memcpy(&value, (const char *)row + columns[i].offset, sizeof(value));
        fprintf(out, " %10llu", (unsigned long long)value);
    }
    fputc('\n', out);
}

static void print_stats(FILE *out, const leat_run_stats *run)
{
    print_total(out, "procs", run->procs);
    print_total(out, "threads", run->threads);
    print_total(out, "alive", run->alive);
    print_total(out, "inject_queued", run->inject_queued);
    print_total(out, "stacks_made", run->stacks_made);
    print_total(out, "monitor_looks", run->monitor_looks);
    fprintf(out, "\nproc");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        fprintf(out, " %10s", columns[i].name);
    fputc('\n', out);
    for (unsigned i = 0; i < run->procs; i++) {
        leat_stats row;
        char label[12];

        if (leat_stats_proc(i, &row) != 0)
            continue;
        snprintf(label, sizeof(label), "%u", i);
        print_row(out, label, &row);
    }
    print_row(out, "sum", &run->sum);
}

static void answer_stats(struct conn *c)
{
    leat_run_stats run;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL || leat_stats_run(&run) != 0) {
        answer_status(c, HTTP_STATUS_SERVICE_UNAVAILABLE, "");
    } else {
        print_stats(out, &run);
        fflush(out);
        answer_text(c, HTTP_STATUS_OK, "Cache-Control: no-store\r\n", text, len);
    }
    if (out != NULL)
        fclose(out);
    free(text);
}

/* --- Files below --root ----------------------------------------------------------------------- */

/*
 * What leads out of @dir_fd, by ".." or by a symlink, is refused: no check of ours, no gap to slip
 * through.
 */
int open_beneath(int dir_fd, const char *path)
{
    /* O_NONBLOCK: a fifo must not hold the open up */
    return leat_open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, LEAT_FOREVER);
}

static enum http_status status_of(int error)
{
    switch (-error) {
    case EACCES:
    case EPERM:
        return HTTP_STATUS_FORBIDDEN;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return HTTP_STATUS_SERVICE_UNAVAILABLE;
    default:
        return HTTP_STATUS_NOT_FOUND;
    }
}

static const char *content_type(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".htm", "text/html; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".xml", "application/xml"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
        {".woff2", "font/woff2"},
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* It goes through the room behind the head, so that both leave in the same write. */
static void put_small_file(struct conn *c, int file, size_t bytes)
{
    ssize_t n = leat_pread(file, c->buf + c->out_at + c->out_len, bytes, 0, LEAT_FOREVER);

    if (n == (ssize_t)bytes)
        c->out_len += bytes;
    else
        /*
         * it was cut short meanwhile, and its length was promised: all that is left is to break off
         */
        c->error = n < 0 ? (int)n : -EIO;
}

/* Part by part, as each of them is to be taken within the timeout. */
static void send_file(struct conn *c, int file, uint64_t bytes)
{
    uint64_t done = 0;

    flush(c);
    while (done < bytes && c->error == 0) {
        size_t part = bytes - done < SEND_BYTES ? (size_t)(bytes - done) : SEND_BYTES;
        ssize_t n =
            leat_sendfile(c->fd, file, (off_t)done, part, leat_after(c->server->timeout_ns));

        if (n > 0)
            done += (uint64_t)n;
        else
            c->error = n < 0 ? (int)n : -EIO;
    }
}

static void put_file(struct conn *c, int file, uint64_t bytes)
{
    if (bytes <= BUF_BYTES - c->out_at - c->out_len)
        put_small_file(c, file, (size_t)bytes);
    else
        send_file(c, file, bytes);
}

/*
 * The regular file at a path, or the index.html in the directory there. Returns: a descriptor;
 * negative errno.
 */
static int open_file(int root_fd, const char *path, struct stat *st, const char **type)
{
    int fd = open_beneath(root_fd, *path == '\0' ? "." : path);

    *type = content_type(path);
    if (fd >= 0 && leat_fstat(fd, st) == 0 && S_ISDIR(st->st_mode)) {
        int dir = fd;

        fd = open_beneath(dir, "index.html");
        leat_close(dir);
        *type = content_type(".html");
    }
    if (fd >= 0 && (leat_fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        leat_close(fd);
        fd = -ENOENT;
    }
    return fd;
}

/* Returns false when there is no such file: the caller may have something else. */
static bool answer_file(struct conn *c, const char *path)
{
    struct stat st;
    const char *type;
    int file;

    if (c->server->root_fd < 0)
        return false;
    while (*path == '/')
        path++;
    file = open_file(c->server->root_fd, path, &st, &type);
    if (file < 0) {
        if (status_of(file) == HTTP_STATUS_NOT_FOUND)
            return false;
        answer_status(c, status_of(file), "");
        return true;
    }
    put_head(c, HTTP_STATUS_OK, type, (uint64_t)st.st_size, "");
    if (!c->head)
        put_file(c, file, (uint64_t)st.st_size);
    leat_close(file);
    return true;
}

/* --- One request ------------------------------------------------------------------------------ */

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)tolower((unsigned char)digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/*
 * Make the target's path a string: without "http://host", query and percent signs. Returns: NULL it
 * is none.
 */
static char *target_path(struct conn *c)
{
    char *path = c->url, *end = c->url + c->url_len, *to;

    if (path[0] != '/') {
        struct http_parser_url parts;

        http_parser_url_init(&parts);
        if (http_parser_parse_url(c->url, c->url_len, 0, &parts) != 0 ||
            !(parts.field_set & (1 << UF_HOST)))
            return NULL;
        if (!(parts.field_set & (1 << UF_PATH)))
            return memcpy(c->url, "/", 2);
        path += parts.field_data[UF_PATH].off;
    }
    to = path;
    for (const char *from = path; from < end && *from != '?' && *from != '#'; from++) {
        if (*from == '%') {
            int high = end - from > 2 ? hex_value(from[1]) : -1;
            int low = end - from > 2 ? hex_value(from[2]) : -1;

            if (high < 0 || low < 0 || high + low == 0)
                return NULL;
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0'; /* url has room: on_url() keeps a byte free */
    return path;
}

static void answer_path(struct conn *c, const char *path)
{
    static const char hello[] = "hello from leat\n";

    if (path == NULL)
        answer_status(c, HTTP_STATUS_BAD_REQUEST, "");
    else if (strcmp(path, "/stats") == 0)
        answer_stats(c);
    else if (answer_file(c, path))
        return;
    else if (strcmp(path, "/") == 0)
        answer_text(c, HTTP_STATUS_OK, "", hello, sizeof(hello) - 1);
    else
        answer_status(c, HTTP_STATUS_NOT_FOUND, "");
}

/* Answer the request that the parser has completed. Returns whether the connection may go on. */
bool answer(struct conn *c)
{
    c->nr_requests++;
    c->keep_alive = http_should_keep_alive(&c->parser) && !c->last;
    c->head = c->parser.method == HTTP_HEAD;
    if (c->head || c->parser.method == HTTP_GET)
        answer_path(c, target_path(c));
    else
        answer_status(c, HTTP_STATUS_METHOD_NOT_ALLOWED, "Allow: GET, HEAD\r\n");
    return c->keep_alive && c->error == 0;
}
