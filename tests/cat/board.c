/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/cat/board.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

static const char checkpoint[] = "board";

static void tell(const char *what, int result)
{
	printf("-- %s: %s\n", what, checkpoint_why(result));
	fflush(stdout);
}

static void on_opened(void *owner, int result)
{
	struct board *board = owner;

	if (result == 0)
		return;
	board->handle = NULL;
	tell("the board", result);
}

static void on_lost(void *owner)
{
	struct board *board = owner;

	board->handle = NULL;
	tell("the board", -ESTALE);
	board_opened(board);
}

void board_init(struct board *board, struct checkpoint_store *store)
{
	*board = (struct board){ .store = store };
}

void board_opened(struct board *board)
{
	static const struct checkpoint_handlers handlers = { on_opened, on_lost };

	/* what is refused now is tried when the store says so, or the next line */
	if (!board->handle &&
	    checkpoint_open(board->store, checkpoint, sizeof(checkpoint) - 1,
			    CHECKPOINT_CREATE, &handlers, board, &board->handle) < 0)
		board->handle = NULL;
}

static void on_set(void *owner, int result)
{
	(void)owner;
	tell("set", result);
}

static void on_dropped(void *owner, int result)
{
	(void)owner;
	tell("drop", result);
}

static void print_note(const char *name, size_t name_length, const void *data,
		       size_t length)
{
	char key[4 * CHECKPOINT_MAX_NAME + 1], text[2048];

	printf("-- note %s = %s\n", text_printable(name, name_length, key, sizeof(key)),
	       text_printable(data, length, text, sizeof(text)));
}

static int get(struct board *board, const char *name, size_t length)
{
	const void *data;
	size_t bytes;
	int r = checkpoint_read(board->handle, name, length, &data, &bytes);

	if (r == 0)
		print_note(name, length, data, bytes);
	return r;
}

static void list(struct board *board)
{
	struct checkpoint_info info;
	struct checkpoint_section_info s;

	for (size_t i = 0; checkpoint_at(board->store, i, &info); i++) {
		printf("-- checkpoint %.*s#%llu, %u references, %zu notes\n",
		       (int)info.name_length, info.name, (unsigned long long)info.number,
		       info.references, info.sections);
		for (size_t k = 0; checkpoint_section_at(board->store, info.number, k, &s);
		     k++)
			print_note(s.name, s.name_length, s.data, s.length);
	}
}

static bool is_word(const char *word, const char *text, size_t length)
{
	return strlen(word) == length && memcmp(word, text, length) == 0;
}

void board_command(struct board *board, const char *line, size_t length)
{
	const char *end = line + length;
	const char *space = memchr(line, ' ', length);
	const char *name = space ? space + 1 : end;
	const char *rest = memchr(name, ' ', (size_t)(end - name));
	size_t word = (size_t)((space ? space : end) - line);
	size_t name_length = (size_t)((rest ? rest : end) - name);
	int r = 0;

	board_opened(board);
	if (is_word("list", line, word))
		list(board);
	else if (!is_word("get", line, word) && !is_word("set", line, word) &&
		 !is_word("drop", line, word))
		printf("-- /set NAME TEXT, /get NAME, /drop NAME, /list: notes that all nodes have\n");
	else if (!board->handle)
		printf("-- the board is not open yet\n");
	else if (is_word("get", line, word))
		r = get(board, name, name_length);
	else if (is_word("set", line, word))
		r = checkpoint_write(board->handle, name, name_length, rest ? rest + 1 : "",
				     rest ? (size_t)(end - rest - 1) : 0, on_set, NULL);
	else
		r = checkpoint_delete(board->handle, name, name_length, on_dropped, NULL);
	if (r < 0)
		tell("the note", r);
	fflush(stdout);
}
