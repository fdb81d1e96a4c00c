/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structs are the kernel's interface within one host, not a format: they are
 * copied, and what they say is checked. The pointers that the kernel hands back are
 * numbers of ours: castparam and bastparam carry the cookie, and castaddr and
 * bastaddr, which must not be NULL, tell a completion from a bast.
 */
#include "lockres/dlm_device.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <linux/dlm_device.h>

enum { AST = 1, BAST = 2 };

static_assert(DLM_USER_LVB_LEN == LOCK_SMALL_LVB, "the value's size is the kernel's");
static_assert(DLM_RESNAME_MAXLEN == LOCK_MAX_NAME, "so is the name's");
static_assert(sizeof(struct dlm_write_request) + LOCK_MAX_NAME <= DLM_CALL_MAX, "room");
static_assert(sizeof(struct dlm_lock_result) + LOCK_SMALL_LVB <= DLM_RESULT_MAX, "room");
static_assert(LOCK_NOQUEUE == DLM_LKF_NOQUEUE && LOCK_CANCEL == DLM_LKF_CANCEL &&
	      LOCK_CONVERT == DLM_LKF_CONVERT && LOCK_VALBLK == DLM_LKF_VALBLK &&
	      LOCK_QUECVT == DLM_LKF_QUECVT && LOCK_IVVALBLK == DLM_LKF_IVVALBLK &&
	      LOCK_CONVDEADLK == DLM_LKF_CONVDEADLK &&
	      LOCK_PERSISTENT == DLM_LKF_PERSISTENT &&
	      LOCK_NODLCKWT == DLM_LKF_NODLCKWT && LOCK_EXPEDITE == DLM_LKF_EXPEDITE &&
	      LOCK_NOQUEUEBAST == DLM_LKF_NOQUEUEBAST &&
	      LOCK_HEADQUE == DLM_LKF_HEADQUE && LOCK_NOORDER == DLM_LKF_NOORDER &&
	      LOCK_ORPHAN == DLM_LKF_ORPHAN && LOCK_ALTPR == DLM_LKF_ALTPR &&
	      LOCK_ALTCW == DLM_LKF_ALTCW && LOCK_FORCEUNLOCK == DLM_LKF_FORCEUNLOCK,
	      "flags pass as they are");
static_assert(LOCK_DEMOTED == DLM_SBF_DEMOTED &&
	      LOCK_VALNOTVALID == DLM_SBF_VALNOTVALID && LOCK_ALTMODE == DLM_SBF_ALTMODE,
	      "marks pass as they are");
static_assert(offsetof(struct dlm_write_request, i.lock.name) ==
	      sizeof(struct dlm_write_request), "the name is behind the struct");
static_assert(DLM_RESULT_CANCELLED == -DLM_ECANCEL &&
	      DLM_RESULT_UNLOCKED == -DLM_EUNLOCK, "the kernel's own words");

static void *as_pointer(uintptr_t number)
{
	return (void *)number;
}

static void put_lock(struct dlm_lock_params *to, const struct dlm_call *call)
{
	to->flags = call->flags;
	to->lkid = call->lkid;
	to->castparam = as_pointer(call->cookie);
	to->castaddr = as_pointer(AST);
	to->bastparam = as_pointer(call->cookie);
	to->bastaddr = as_pointer(BAST);
	to->lksb = as_pointer(call->cookie);
	memcpy(to->lvb, call->value, sizeof(to->lvb));
	if (call->kind != DLM_CALL_LOCK)
		return;
	to->mode = (uint8_t)call->mode;
	if (!(call->flags & LOCK_CONVERT))
		to->namelen = (uint8_t)call->name_length;
}

size_t dlm_call_put(const struct dlm_call *call, uint8_t bytes[DLM_CALL_MAX])
{
	struct dlm_write_request request = {
		.version = { DLM_DEVICE_VERSION_MAJOR, DLM_DEVICE_VERSION_MINOR,
			     DLM_DEVICE_VERSION_PATCH },
		.is64bit = sizeof(long) == 8,
	};
	size_t name_length = 0;

	switch (call->kind) {
	case DLM_CALL_LOCK:
		request.cmd = DLM_USER_LOCK;
		put_lock(&request.i.lock, call);
		name_length = request.i.lock.namelen;
		break;
	case DLM_CALL_UNLOCK:
	case DLM_CALL_CANCEL:
		request.cmd = DLM_USER_UNLOCK;
		put_lock(&request.i.lock, call);
		break;
	case DLM_CALL_PURGE:
		request.cmd = DLM_USER_PURGE;
		request.i.purge.nodeid = call->node;
		break;
	}
	memset(bytes, 0, DLM_CALL_MAX);
	memcpy(bytes, &request, sizeof(request));
	if (name_length)
		memcpy(bytes + sizeof(request), call->name, name_length);
	return sizeof(request) + name_length;
}

static bool is_status(int status)
{
	return status <= 0 && (status >= -4095 || status == DLM_RESULT_CANCELLED ||
			       status == DLM_RESULT_UNLOCKED);
}

/* Behind the struct, and whole. */
static bool has_sound_value(const struct dlm_lock_result *from, size_t length)
{
	return from->lvb_offset >= sizeof(*from) && from->lvb_offset <= length &&
	       length - from->lvb_offset >= LOCK_SMALL_LVB;
}

static int take_done(const struct dlm_lock_result *from, const uint8_t *bytes,
		     size_t length, struct dlm_result *to)
{
	to->status = from->lksb.sb_status;
	to->lkid = from->lksb.sb_lkid;
	to->marks = (uint8_t)from->lksb.sb_flags &
		    (LOCK_DEMOTED | LOCK_VALNOTVALID | LOCK_ALTMODE);
	if (!is_status(to->status))
		return -EBADMSG;
	if (!from->lvb_offset)
		return 0;
	if (!has_sound_value(from, length))
		return -EBADMSG;
	to->has_value = true;
	memcpy(to->value, bytes + from->lvb_offset, LOCK_SMALL_LVB);
	return 0;
}

int dlm_result_take(const void *bytes, size_t length, struct dlm_result *result)
{
	struct dlm_lock_result from;
	uintptr_t cookie;

	*result = (struct dlm_result){ .wanted = LOCK_NONE };
	if (length < sizeof(from))
		return -EBADMSG;
	memcpy(&from, bytes, sizeof(from));
	cookie = (uintptr_t)from.user_astparam;
	if (from.version[0] != DLM_DEVICE_VERSION_MAJOR || from.length != length ||
	    cookie < 1 || cookie > UINT32_MAX)
		return -EBADMSG;
	result->cookie = (uint32_t)cookie;
	switch ((uintptr_t)from.user_astaddr) {
	case AST:
		return take_done(&from, bytes, length, result);
	case BAST:
		result->is_blocked = true;
		result->wanted = (enum lock_mode)from.bast_mode;
		result->lkid = from.lksb.sb_lkid;
		return from.bast_mode < LOCK_MODES ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}
