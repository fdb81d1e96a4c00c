/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lock values say: md-cluster's resources are known by their names. */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/printable.h"
#include "base/text.h"
#include "msg/kernel_message.h"
#include "msg/message.h"
#include "msg/nack.h"
#include "tools/show_locks.h"

/* More there cannot be: these are 2^64 bytes. */
#define MAX_SECTORS (UINT64_MAX / 512)

enum value_kind {
	VALUE_BYTES, VALUE_NOTHING, VALUE_MESSAGE, VALUE_KERNEL, VALUE_WINDOW, VALUE_NACK,
};

struct value {
	enum value_kind kind;
	struct msg message;
	struct kernel_message kernel;
	struct msg_nack nack;
	struct kernel_window window; /* also of messages that have one */
	int slot; /* whose it is; -1: nobody's */
};

static bool is_named(const struct lock_dump_resource *r, const char *name)
{
	return r->name_length == strlen(name) &&
	       memcmp(r->name, name, r->name_length) == 0;
}

/* The slot of "bitmap0012"; -1: it is none. */
static int slot_of(const struct lock_dump_resource *r)
{
	static const char prefix[] = "bitmap";
	size_t at = sizeof(prefix) - 1;
	int slot = 0;

	if (r->name_length != at + 4 || memcmp(r->name, prefix, at) != 0)
		return -1;
	for (; at < r->name_length; at++) {
		if (r->name[at] < '0' || r->name[at] > '9')
			return -1;
		slot = slot * 10 + (r->name[at] - '0');
	}
	return slot;
}

static void decode_message(const struct lock_dump_resource *r, uint32_t lvb_bytes,
			   struct value *v)
{
	enum msg_fault fault = msg_decode(r->value, lvb_bytes, &v->message);

	if (fault == MSG_NOTHING) {
		v->kind = VALUE_NOTHING;
	} else if (fault == MSG_SOUND) {
		v->kind = VALUE_MESSAGE;
		v->slot = v->message.slot;
		v->window = (struct kernel_window){ v->message.low, v->message.high };
	} else if (kernel_message_decode(r->value, lvb_bytes, &v->kernel) == MSG_SOUND &&
		   v->kernel.slot < LOCKSPACE_MAX_SLOTS) {
		v->kind = VALUE_KERNEL;
		v->slot = (int)v->kernel.slot;
		v->window = (struct kernel_window){ v->kernel.low, v->kernel.high };
	}
}

static struct value decode(const struct show_locks *show,
			   const struct lock_dump_resource *r)
{
	uint32_t lvb_bytes = show->space->lvb_bytes;
	struct value v = { .kind = VALUE_BYTES, .slot = -1 };

	if (is_named(r, "message")) {
		decode_message(r, lvb_bytes, &v);
	} else if (is_named(r, "nack")) {
		if (msg_nack_decode(r->value, lvb_bytes, &v.nack) == MSG_SOUND) {
			v.kind = VALUE_NACK;
			v.slot = v.nack.slot;
		}
	} else if (slot_of(r) >= 0) {
		v.kind = VALUE_WINDOW;
		v.slot = slot_of(r);
		(void)kernel_window_decode(r->value, lvb_bytes, &v.window);
		if (v.window.low > v.window.high || v.window.high > MAX_SECTORS)
			v.kind = VALUE_BYTES;
	}
	if (r->value_seq == 0 || (v.kind == VALUE_BYTES &&
				  sodium_is_zero(r->value, lvb_bytes)))
		v.kind = VALUE_NOTHING;
	return v;
}

/* "node2", or "slot 1" where that is nobody's. */
static const char *owner_of(const struct show_locks *show, int slot,
			    char to[SHOW_NAME_BYTES])
{
	for (size_t i = 0; i < show->space->member_count; i++)
		if (show->space->members[i].slot == slot)
			return show_node(show, show->space->members[i].node, to);
	snprintf(to, SHOW_NAME_BYTES, "slot %d", slot);
	return to;
}

/* A dash for those who have none. */
static void use_ascii_dashes(char *text)
{
	static const char dash[] = "–";
	char *at;

	if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
		return;
	while ((at = strstr(text, dash)) != NULL) {
		*at = '-';
		memmove(at + 1, at + sizeof(dash) - 1, strlen(at + sizeof(dash) - 1) + 1);
	}
}

static void hex_text(const struct lock_dump_resource *r, uint32_t lvb_bytes,
		     char to[SHOW_VALUE_BYTES])
{
	size_t length = lvb_bytes;

	while (length > 1 && r->value[length - 1] == 0)
		length--;
	sodium_bin2hex(to, SHOW_VALUE_BYTES, r->value, length);
	if (length < lvb_bytes)
		strcat(to, "...");
}

/* The text is the receiver's, in any characters. */
static void nack_text(const struct msg_nack *n, const char *owner,
		      char to[SHOW_VALUE_BYTES])
{
	char text[TEXT_ESCAPED_BYTES(MSG_NACK_TEXT_MAX)], more[32] = "";

	text_escape(n->text, strlen(n->text), text, sizeof(text));
	if (n->count > 1)
		snprintf(more, sizeof(more), ", and %d more", n->count - 1);
	snprintf(to, SHOW_VALUE_BYTES, "message %u refused: %.80s %s%s%s%s", n->sequence,
		 owner, msg_refusal_text(n->code), text[0] ? ": " : "", text, more);
}

/* Without a word on whether it is valid. */
static void says(const struct show_locks *show, const struct lock_dump_resource *r,
		 const struct value *v, char to[SHOW_VALUE_BYTES])
{
	char text[MSG_TEXT_BYTES], owner[SHOW_NAME_BYTES];

	to[0] = '\0';
	if (v->kind == VALUE_BYTES)
		hex_text(r, show->space->lvb_bytes, to);
	else if (v->kind == VALUE_MESSAGE)
		snprintf(to, SHOW_VALUE_BYTES, "%s by %s (message %u)",
			 msg_text(&v->message, text), owner_of(show, v->slot, owner),
			 v->message.sequence);
	else if (v->kind == VALUE_KERNEL)
		snprintf(to, SHOW_VALUE_BYTES, "%s by %s (kernel's)",
			 kernel_message_text(&v->kernel, text),
			 owner_of(show, v->slot, owner));
	else if (v->kind == VALUE_NACK)
		nack_text(&v->nack, owner_of(show, v->slot, owner), to);
	else if (v->kind == VALUE_WINDOW)
		snprintf(to, SHOW_VALUE_BYTES, "%s%s%s",
			 kernel_window_text(&v->window, text),
			 v->window.high ? " by " : "",
			 v->window.high ? owner_of(show, v->slot, owner) : "");
}

char *show_value(const struct show_locks *show, const struct lock_dump_resource *r,
		 char to[SHOW_VALUE_BYTES])
{
	struct value v = decode(show, r);
	char text[SHOW_VALUE_BYTES];

	says(show, r, &v, text);
	use_ascii_dashes(text);
	snprintf(to, SHOW_VALUE_BYTES, "%s%.400s",
		 text[0] && !r->is_value_valid ? "not valid: " : "", text);
	return to;
}

static json_t *window_json(const struct value *v)
{
	if (v->window.high == 0 || v->window.high > MAX_SECTORS)
		return json_null();
	return json_pack("{s:I, s:I}", "low_sectors", (json_int_t)v->window.low,
			 "high_sectors", (json_int_t)v->window.high);
}

static json_t *message_json(const struct value *v)
{
	char uuid[TEXT_UUID_BYTES];
	uint32_t type = v->kind == VALUE_KERNEL ? v->kernel.type : v->message.type;

	text_uuid(v->kind == VALUE_KERNEL ? v->kernel.uuid : v->message.uuid, uuid);
	if (v->kind != VALUE_MESSAGE && v->kind != VALUE_KERNEL)
		return json_null();
	return json_pack("{s:s, s:i, s:o, s:I, s:o}", "type", msg_type_name(type),
			 "slot", v->slot, "sequence",
			 v->kind == VALUE_MESSAGE ?
				 json_integer((json_int_t)v->message.sequence) :
				 json_null(),
			 "disk",
			 (json_int_t)(v->kind == VALUE_KERNEL ? v->kernel.raid_slot :
								v->message.disk),
			 "uuid", type == MSG_NEWDISK ? json_string(uuid) : json_null());
}

static json_t *nack_json(const struct value *v)
{
	char text[TEXT_ESCAPED_BYTES(MSG_NACK_TEXT_MAX)];

	if (v->kind != VALUE_NACK)
		return json_null();
	text_escape(v->nack.text, strlen(v->nack.text), text, sizeof(text));
	return json_pack("{s:i, s:I, s:i, s:s, s:s}", "slot", v->slot, "sequence",
			 (json_int_t)v->nack.sequence, "count", (int)v->nack.count,
			 "reason", msg_refusal_text(v->nack.code), "text", text);
}

void show_value_json(const struct show_locks *show, const struct lock_dump_resource *r,
		     json_t *o)
{
	struct value v = decode(show, r);
	char text[SHOW_VALUE_BYTES];

	says(show, r, &v, text);
	json_object_set_new(o, "says", v.kind == VALUE_NOTHING || v.kind == VALUE_BYTES ?
					       json_null() :
					       json_string(text));
	json_object_set_new(o, "message", message_json(&v));
	json_object_set_new(o, "nack", nack_json(&v));
	json_object_set_new(o, "window", v.kind == VALUE_NOTHING ? json_null() :
								    window_json(&v));
}
