/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's edu device as a DMA engine. It copies between memory and an internal
 * buffer that only DMA reaches, so the bytes alone prove the result of a
 * transfer.
 */
#ifndef SELFTEST_IOMMU_LIB_EDU_H
#define SELFTEST_IOMMU_LIB_EDU_H

#include <stdbool.h>
#include <linux/types.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
#define EDU_BUF_SIZE	4096
/* Bytes that the checks below move */
#define EDU_DMA_LEN	1024

/**
 * struct edu - An edu device
 * @bar: BAR0
 * @mbox: EDU_DMA_LEN bytes of memory, which the device must reach whenever a
 *	  check looks at its internal buffer
 * @mbox_iova: IOVA of @mbox
 * @held: expected contents of the internal buffer
 */
struct edu {
	void *bar;
	void *mbox;
	__u64 mbox_iova;
	__u8 held[EDU_DMA_LEN];
};

/* Result of a transfer, judged by the bytes */
enum edu_result {
	EDU_MOVED,	/* the destination holds the bytes of the source */
	EDU_BLOCKED,	/* the destination holds no byte of the source */
	EDU_GARBLED,	/* neither */
	EDU_NO_MBOX,	/* the device can't reach its mailbox: no result */
	EDU_STUCK,	/* the device did not finish in time */
};

/**
 * edu_init() - Check that BAR0 belongs to an edu device
 * @edu: the device, @bar set
 *
 * Waits for the end of a transfer that an earlier owner started.
 *
 * Return: 0, -ENODEV, or -ETIMEDOUT
 */
int edu_init(struct edu *edu);

/**
 * edu_load() - DMA from memory into the device's buffer
 * @edu: the device
 * @iova: source address
 * @len: bytes, at most EDU_BUF_SIZE
 *
 * Also succeeds if the transfer is blocked, which the device does not report.
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_load(struct edu *edu, __u64 iova, __u32 len);

/**
 * edu_store() - DMA from the device's buffer into memory
 * @edu: the device
 * @iova: destination address
 * @len: bytes, at most EDU_BUF_SIZE
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_store(struct edu *edu, __u64 iova, __u32 len);

/* edu_store() without waiting for its end */
void edu_start_store(struct edu *edu, __u64 iova, __u32 len);

/* Fill @p with bytes that this process has not used before */
void edu_pattern(void *p);

/**
 * edu_fill() - Give the device's buffer a new pattern, through the mailbox
 * @edu: the device
 *
 * Return: EDU_MOVED; everything else is a failure
 */
enum edu_result edu_fill(struct edu *edu);

/**
 * edu_write() - Check a DMA write from the device's buffer to @iova
 * @edu: the device, its buffer known from edu_fill() or edu_read()
 * @iova: destination address
 * @p: memory expected at @iova; overwritten with a new pattern first
 *
 * Return: see enum edu_result
 */
enum edu_result edu_write(struct edu *edu, __u64 iova, void *p);

/**
 * edu_read() - Check a DMA read from @iova into the device's buffer
 * @edu: the device, its buffer known
 * @iova: source address
 * @p: memory expected at @iova; overwritten with a new pattern first
 *
 * The device must reach its mailbox.
 *
 * Return: see enum edu_result
 */
enum edu_result edu_read(struct edu *edu, __u64 iova, void *p);

/**
 * edu_try_read() - First half of edu_read(), which needs no mailbox
 * @edu: the device, its buffer known
 * @iova: source address
 * @p: memory expected at @iova; overwritten with a new pattern first
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_try_read(struct edu *edu, __u64 iova, void *p);

/**
 * edu_check_read() - Second half of edu_read(), after edu_try_read()
 * @edu: the device, which now reaches its mailbox
 * @p: the memory passed to edu_try_read()
 *
 * Return: see enum edu_result
 */
enum edu_result edu_check_read(struct edu *edu, const void *p);

/* Raise and acknowledge the device's interrupt */
void edu_irq_raise(struct edu *edu);
void edu_irq_ack(struct edu *edu);

#endif
