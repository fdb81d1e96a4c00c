/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Client flags and options. One option at a time: the next one is looked at when the answer
 * to the last one was taken, so that a client that does not read costs one answer.
 */
#include "mdclusterd/nbd/session_private.h"

#include <string.h>

#include "base/codec.h"

#define CONTEXT_NAME "base:allocation"

static void hello_sent(struct nbd_session *s, struct nbd_out *out)
{
	(void)s;
	(void)out; /* its memory is the session's: free for the next one */
}

static void say_hello(struct nbd_session *s, size_t bytes)
{
	s->hello_out.body = s->hello;
	s->hello_out.body_bytes = (uint32_t)bytes;
	s->hello_out.sent = hello_sent;
	nbd_say(s, &s->hello_out);
}

void nbd_greet(struct nbd_session *s)
{
	nbd_greeting_out(s->hello);
	say_hello(s, NBD_GREETING_BYTES);
}

enum nbd_step nbd_hear_client_flags(struct nbd_session *s)
{
	uint32_t flags;

	if (nbd_in_bytes(s) < NBD_CLIENT_FLAGS_BYTES)
		return NBD_NEEDS_INPUT;
	if (!nbd_client_flags_in(s->in + s->in_at, &flags)) {
		nbd_session_cut(s, "it sent client flags that are not known");
		return NBD_AGAIN;
	}
	s->in_at += NBD_CLIENT_FLAGS_BYTES;
	s->has_no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	s->state = NBD_HAGGLING;
	return NBD_AGAIN;
}

/* --- answers ------------------------------------------------------------------------------ */

/* Answers to one option, one behind the other. */
struct answers {
	struct nbd_session *s;
	struct wr wr;
	size_t began_at; /* the one that is being written */
};

static struct answers answers_begin(struct nbd_session *s)
{
	return (struct answers){ .s = s, .wr = wr_over(s->hello, sizeof(s->hello)) };
}

static struct wr *answer_begin(struct answers *a)
{
	a->began_at = a->wr.at;
	wr_zero(&a->wr, NBD_OPTION_REPLY_BYTES);
	return &a->wr;
}

static void answer_end(struct answers *a, uint32_t answer)
{
	size_t length = a->wr.at - a->began_at - NBD_OPTION_REPLY_BYTES;

	nbd_option_reply_out(a->s->hello + a->began_at, a->s->option.code, answer,
			     (uint32_t)length);
}

/* The last one, and off they go. */
static void answers_end(struct answers *a, uint32_t answer)
{
	answer_begin(a);
	answer_end(a, answer);
	say_hello(a->s, a->wr.at);
}

static void acknowledge(struct nbd_session *s)
{
	struct answers a = answers_begin(s);

	answers_end(&a, NBD_REP_ACK);
}

static void refuse(struct nbd_session *s, uint32_t answer, const char *text)
{
	struct answers a = answers_begin(s);

	wr_bytes(answer_begin(&a), text, strlen(text));
	answer_end(&a, answer);
	say_hello(s, a.wr.at);
}

static void text_out(struct wr *wr, const char *text)
{
	wr_bytes(wr, text, strlen(text));
}

static uint16_t export_flags(const struct volume *volume)
{
	unsigned int flags = NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA |
			     NBD_SEND_DF | NBD_CAN_MULTI_CONN;

	if (volume->is_read_only)
		flags |= NBD_READ_ONLY;
	else
		flags |= NBD_SEND_WRITE_ZEROES | (volume->has_trim ? NBD_SEND_TRIM : 0);
	return (uint16_t)flags;
}

/* --- names -------------------------------------------------------------------------------- */

/* "" is the only export that there is. */
static bool is_ours(const struct nbd_session *s, const uint8_t *name, size_t length)
{
	return length == 0 || (length == strlen(s->export->name) &&
			       memcmp(name, s->export->name, length) == 0);
}

/* A length of 32 bits and as many bytes: where they are, or NULL. */
static const uint8_t *string_in(struct rd *rd, size_t *length)
{
	const uint8_t *at;

	*length = rd_be_u32(rd);
	at = rd->base + rd->at;
	if (rd->failed || *length > rd->length - rd->at)
		return NULL;
	rd_seek(rd, rd->at + *length);
	return at;
}

static void refuse_bad(struct nbd_session *s)
{
	refuse(s, NBD_REP_ERR_INVALID, "the option's data are not what it has");
}

static void refuse_unknown(struct nbd_session *s)
{
	refuse(s, NBD_REP_ERR_UNKNOWN, "there is no export of this name");
}

/* --- options ------------------------------------------------------------------------------ */

static void begin_transmission(struct nbd_session *s)
{
	s->state = NBD_TRANSMITTING;
	s->export->counters.clients++;
}

/* It has no way to tell an error. */
static void export_name(struct nbd_session *s, const uint8_t *data)
{
	const struct volume *volume = s->export->volume;
	struct wr wr = wr_over(s->hello, sizeof(s->hello));

	if (!is_ours(s, data, s->option.length)) {
		nbd_session_cut(s, "it asked for an export that is not here");
		return;
	}
	wr_be_u64(&wr, volume->size_bytes);
	wr_be_u16(&wr, export_flags(volume));
	if (!s->has_no_zeroes)
		wr_zero(&wr, NBD_EXPORT_ZEROES);
	say_hello(s, wr.at);
	begin_transmission(s);
}

static void info(struct answers *a, enum nbd_info kind)
{
	const struct nbd_export *export = a->s->export;
	const struct volume *volume = export->volume;
	struct wr *wr = answer_begin(a);

	wr_be_u16(wr, (uint16_t)kind);
	switch (kind) {
	case NBD_INFO_EXPORT:
		wr_be_u64(wr, volume->size_bytes);
		wr_be_u16(wr, export_flags(volume));
		break;
	case NBD_INFO_NAME:
		text_out(wr, export->name);
		break;
	case NBD_INFO_DESCRIPTION:
		text_out(wr, export->description);
		break;
	case NBD_INFO_BLOCK_SIZE:
		wr_be_u32(wr, volume->block_bytes);
		wr_be_u32(wr, volume->optimal_bytes);
		wr_be_u32(wr, NBD_MAX_BYTES);
		break;
	}
	answer_end(a, NBD_REP_INFO);
}

/* The sizes are told even to who does not ask: they are not what is assumed without. */
static void info_or_go(struct nbd_session *s, const uint8_t *data)
{
	struct rd rd = rd_over(data, s->option.length);
	struct answers a = answers_begin(s);
	bool wants_name = false, wants_description = false;
	size_t length;
	const uint8_t *name = string_in(&rd, &length);
	uint16_t count = rd_be_u16(&rd);

	for (uint16_t i = 0; i < count && !rd.failed; i++) {
		uint16_t kind = rd_be_u16(&rd);

		wants_name |= kind == NBD_INFO_NAME;
		wants_description |= kind == NBD_INFO_DESCRIPTION;
	}
	if (!name || rd.failed || rd.at != rd.length) {
		refuse_bad(s);
		return;
	}
	if (!is_ours(s, name, length)) {
		refuse_unknown(s);
		return;
	}
	info(&a, NBD_INFO_EXPORT);
	info(&a, NBD_INFO_BLOCK_SIZE);
	if (wants_name)
		info(&a, NBD_INFO_NAME);
	if (wants_description && s->export->description[0])
		info(&a, NBD_INFO_DESCRIPTION);
	answers_end(&a, NBD_REP_ACK);
	if (s->option.code == NBD_OPT_GO)
		begin_transmission(s);
}

static void list(struct nbd_session *s)
{
	struct answers a = answers_begin(s);
	struct wr *wr;

	if (s->option.length > 0) {
		refuse_bad(s);
		return;
	}
	wr = answer_begin(&a);
	wr_be_u32(wr, (uint32_t)strlen(s->export->name));
	text_out(wr, s->export->name);
	text_out(wr, s->export->description);
	answer_end(&a, NBD_REP_SERVER);
	answers_end(&a, NBD_REP_ACK);
}

static void structured_reply(struct nbd_session *s)
{
	if (s->option.length > 0) {
		refuse_bad(s);
		return;
	}
	s->has_structured_replies = true;
	acknowledge(s);
}

static bool is_text(const uint8_t *query, size_t length, const char *text)
{
	return length == strlen(text) && memcmp(query, text, length) == 0;
}

/* Does a query, or its having none, mean the one context that there is? False: bad data. */
static bool contexts_in(struct rd *rd, bool is_list, bool *is_meant)
{
	uint32_t count = rd_be_u32(rd);

	*is_meant = is_list && count == 0;
	for (uint32_t i = 0; i < count; i++) {
		size_t length;
		const uint8_t *query = string_in(rd, &length);

		if (!query)
			return false;
		*is_meant |= is_text(query, length, CONTEXT_NAME) ||
			     (is_list && is_text(query, length, "base:"));
	}
	return !rd->failed && rd->at == rd->length;
}

static void meta_context(struct nbd_session *s, const uint8_t *data)
{
	bool is_list = s->option.code == NBD_OPT_LIST_META_CONTEXT, is_meant;
	struct rd rd = rd_over(data, s->option.length);
	struct answers a = answers_begin(s);
	size_t length;
	const uint8_t *name;
	struct wr *wr;

	if (!is_list)
		s->has_allocation = false;
	name = string_in(&rd, &length);
	if (!name || !contexts_in(&rd, is_list, &is_meant)) {
		refuse_bad(s);
		return;
	}
	if (!s->has_structured_replies) {
		refuse(s, NBD_REP_ERR_INVALID, "structured replies come first");
		return;
	}
	if (!is_ours(s, name, length)) {
		refuse_unknown(s);
		return;
	}
	if (is_meant) {
		wr = answer_begin(&a);
		wr_be_u32(wr, is_list ? 0 : NBD_ALLOCATION_ID);
		text_out(wr, CONTEXT_NAME);
		answer_end(&a, NBD_REP_META_CONTEXT);
	}
	answers_end(&a, NBD_REP_ACK);
	if (!is_list)
		s->has_allocation = is_meant;
}

static void option(struct nbd_session *s, const uint8_t *data)
{
	switch (s->option.code) {
	case NBD_OPT_EXPORT_NAME:
		export_name(s, data);
		break;
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		info_or_go(s, data);
		break;
	case NBD_OPT_LIST:
		list(s);
		break;
	case NBD_OPT_STRUCTURED_REPLY:
		structured_reply(s);
		break;
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		meta_context(s, data);
		break;
	case NBD_OPT_STARTTLS:
		refuse(s, NBD_REP_ERR_UNSUP, "there is no TLS on a unix socket");
		break;
	default:
		refuse(s, NBD_REP_ERR_UNSUP, "this option is not known here");
	}
}

static bool is_closed(const struct nbd_session *s)
{
	return s->is_draining || !s->export->volume;
}

/* Its data are here, or skipped for being too many. */
static void answer(struct nbd_session *s, const uint8_t *data, bool is_too_long)
{
	if (s->option.code == NBD_OPT_ABORT) {
		acknowledge(s);
		nbd_session_leave(s);
	} else if (s->option.code == NBD_OPT_EXPORT_NAME && is_closed(s)) {
		nbd_session_cut(s, "it asked for an export that is being shut down");
	} else if (s->option.code == NBD_OPT_EXPORT_NAME && is_too_long) {
		nbd_session_cut(s, "it asked for an export with an endless name");
	} else if (is_closed(s)) {
		refuse(s, NBD_REP_ERR_SHUTDOWN, "the array is being stopped");
	} else if (is_too_long) {
		refuse(s, NBD_REP_ERR_TOO_BIG, "the option has too much data");
	} else {
		option(s, data);
	}
}

enum nbd_step nbd_hear_option(struct nbd_session *s)
{
	bool is_too_long;

	if (!qb_list_empty(&s->outs)) {
		s->waits_for = "it to take an answer to an option";
		return NBD_WAITS;
	}
	if (!s->has_option) {
		if (nbd_in_bytes(s) < NBD_OPTION_BYTES)
			return NBD_NEEDS_INPUT;
		if (!nbd_option_in(s->in + s->in_at, &s->option)) {
			nbd_session_cut(s, "it sent something else than an option");
			return NBD_AGAIN;
		}
		s->in_at += NBD_OPTION_BYTES;
		s->has_option = true;
		if (s->option.length > NBD_OPTION_MAX_BYTES) {
			s->skip = s->option.length;
			return NBD_AGAIN;
		}
	}
	is_too_long = s->option.length > NBD_OPTION_MAX_BYTES;
	if (!is_too_long && nbd_in_bytes(s) < s->option.length)
		return NBD_NEEDS_INPUT;
	s->has_option = false;
	answer(s, s->in + s->in_at, is_too_long);
	if (!is_too_long)
		s->in_at += s->option.length;
	return NBD_AGAIN;
}
