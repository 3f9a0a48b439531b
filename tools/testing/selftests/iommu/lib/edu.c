// SPDX-License-Identifier: GPL-2.0
/* QEMU's edu device as a DMA engine */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edu.h"

#define EDU_REG_ID		0x00
#define EDU_ID			0xed
#define EDU_ID_MASK		0xff
#define EDU_REG_IRQ_RAISE	0x60
#define EDU_REG_IRQ_ACK		0x64
#define EDU_REG_DMA_SRC		0x80
#define EDU_REG_DMA_DST		0x88
#define EDU_REG_DMA_CNT		0x90
#define EDU_REG_DMA_CMD		0x98
#define EDU_DMA_RUN		0x1
#define EDU_DMA_TO_MEM		0x2

/* Address of the device's buffer as its DMA engine sees it */
#define EDU_BUF			0x40000

#define EDU_IRQ_BITS		1

/* A transfer takes 100 ms; a debug kernel on a busy host may need longer */
#define EDU_TIMEOUT_SEC		10
#define EDU_POLL_USEC		2000

/* Relaxed atomics are single accesses of the given width, never elided */
static __u32 edu_read32(struct edu *edu, unsigned int reg)
{
	return __atomic_load_n((__u32 *)(edu->bar + reg), __ATOMIC_RELAXED);
}

static void edu_write32(struct edu *edu, unsigned int reg, __u32 val)
{
	__atomic_store_n((__u32 *)(edu->bar + reg), val, __ATOMIC_RELAXED);
}

static __u64 edu_read64(struct edu *edu, unsigned int reg)
{
	return __atomic_load_n((__u64 *)(edu->bar + reg), __ATOMIC_RELAXED);
}

static void edu_write64(struct edu *edu, unsigned int reg, __u64 val)
{
	__atomic_store_n((__u64 *)(edu->bar + reg), val, __ATOMIC_RELAXED);
}

static int edu_wait_idle(struct edu *edu)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += EDU_TIMEOUT_SEC;
	while (edu_read64(edu, EDU_REG_DMA_CMD) & EDU_DMA_RUN) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec)
			return -ETIMEDOUT;
		usleep(EDU_POLL_USEC);
	}
	return 0;
}

int edu_init(struct edu *edu)
{
	if ((edu_read32(edu, EDU_REG_ID) & EDU_ID_MASK) != EDU_ID)
		return -ENODEV;
	/* A busy device ignores commands; its owner may have been killed */
	return edu_wait_idle(edu);
}

static void edu_start(struct edu *edu, __u64 src, __u64 dst, __u32 len,
		      __u64 cmd)
{
	/* Make the data and the tables visible before the doorbell */
	__sync_synchronize();
	edu_write64(edu, EDU_REG_DMA_SRC, src);
	edu_write64(edu, EDU_REG_DMA_DST, dst);
	edu_write64(edu, EDU_REG_DMA_CNT, len);
	edu_write64(edu, EDU_REG_DMA_CMD, cmd | EDU_DMA_RUN);
}

static int edu_dma(struct edu *edu, __u64 src, __u64 dst, __u32 len, __u64 cmd)
{
	int ret;

	edu_start(edu, src, dst, len, cmd);
	ret = edu_wait_idle(edu);
	__sync_synchronize();
	return ret;
}

void edu_start_store(struct edu *edu, __u64 iova, __u32 len)
{
	edu_start(edu, EDU_BUF, iova, len, EDU_DMA_TO_MEM);
}

int edu_load(struct edu *edu, __u64 iova, __u32 len)
{
	return edu_dma(edu, iova, EDU_BUF, len, 0);
}

int edu_store(struct edu *edu, __u64 iova, __u32 len)
{
	return edu_dma(edu, EDU_BUF, iova, len, EDU_DMA_TO_MEM);
}

void edu_pattern(void *p)
{
	/* A 64-bit LCG repeats no state, so no two patterns are equal */
	static __u64 state = 0x5eed;
	__u64 *q = p;
	unsigned int i;

	for (i = 0; i < EDU_DMA_LEN / sizeof(*q); i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		q[i] = state;
	}
}

/* An aborted read may complete with all zeros or all ones on the bus */
static bool is_fill(const __u8 *p)
{
	return (!p[0] || p[0] == 0xff) && !memcmp(p, p + 1, EDU_DMA_LEN - 1);
}

int edu_try_read(struct edu *edu, __u64 iova, void *p)
{
	edu_pattern(p);
	return edu_load(edu, iova, EDU_DMA_LEN);
}

enum edu_result edu_check_read(struct edu *edu, const void *p)
{
	__u8 want[EDU_DMA_LEN], before[EDU_DMA_LEN];
	enum edu_result ret;

	/* @p may be the mailbox itself */
	memcpy(want, p, sizeof(want));
	edu_pattern(before);
	memcpy(edu->mbox, before, sizeof(before));
	if (edu_store(edu, edu->mbox_iova, EDU_DMA_LEN))
		return EDU_STUCK;

	if (!memcmp(edu->mbox, before, EDU_DMA_LEN))
		return EDU_NO_MBOX;
	if (!memcmp(edu->mbox, want, EDU_DMA_LEN))
		ret = EDU_MOVED;
	else if (!memcmp(edu->mbox, edu->held, EDU_DMA_LEN) ||
		 is_fill(edu->mbox))
		ret = EDU_BLOCKED;
	else
		ret = EDU_GARBLED;
	memcpy(edu->held, edu->mbox, EDU_DMA_LEN);
	return ret;
}

enum edu_result edu_read(struct edu *edu, __u64 iova, void *p)
{
	if (edu_try_read(edu, iova, p))
		return EDU_STUCK;
	return edu_check_read(edu, p);
}

enum edu_result edu_fill(struct edu *edu)
{
	return edu_read(edu, edu->mbox_iova, edu->mbox);
}

enum edu_result edu_write(struct edu *edu, __u64 iova, void *p)
{
	__u8 before[EDU_DMA_LEN];

	edu_pattern(before);
	memcpy(p, before, sizeof(before));
	if (edu_store(edu, iova, EDU_DMA_LEN))
		return EDU_STUCK;
	if (!memcmp(p, edu->held, EDU_DMA_LEN))
		return EDU_MOVED;
	if (!memcmp(p, before, EDU_DMA_LEN))
		return EDU_BLOCKED;
	return EDU_GARBLED;
}

void edu_irq_raise(struct edu *edu)
{
	edu_write32(edu, EDU_REG_IRQ_RAISE, EDU_IRQ_BITS);
}

void edu_irq_ack(struct edu *edu)
{
	edu_write32(edu, EDU_REG_IRQ_ACK, EDU_IRQ_BITS);
}
