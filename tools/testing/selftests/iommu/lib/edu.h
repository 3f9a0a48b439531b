/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's edu device as a DMA engine: it copies between memory and a buffer of
 * its own, and nothing but DMA reaches that buffer. So what a transfer did, or
 * did not do, can be told from bytes alone.
 */
#ifndef SELFTEST_IOMMU_LIB_EDU_H
#define SELFTEST_IOMMU_LIB_EDU_H

#include <stdbool.h>
#include <linux/types.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
#define EDU_BUF_SIZE	4096
/* Bytes that the dma_*() checks below move */
#define EDU_DMA_LEN	1024

/**
 * struct edu - An edu device
 * @bar: BAR0
 * @mbox: EDU_DMA_LEN bytes of memory that the device can reach whenever the
 *	  device's own buffer is to be looked at
 * @mbox_iova: where the device sees @mbox
 * @held: what the device's buffer holds, as far as the checks know
 */
struct edu {
	void *bar;
	void *mbox;
	__u64 mbox_iova;
	__u8 held[EDU_DMA_LEN];
};

/* What the bytes say about a transfer */
enum edu_result {
	EDU_MOVED,	/* the bytes at the destination are those of the source */
	EDU_BLOCKED,	/* the destination holds nothing of the source */
	EDU_GARBLED,	/* neither */
	EDU_NO_MBOX,	/* the device can't reach its mailbox: nothing proved */
	EDU_STUCK,	/* the device did not finish in time */
};

/**
 * edu_init() - Check that BAR0 belongs to an edu device
 * @edu: the device, @bar set
 *
 * Waits for a transfer that an earlier owner left behind.
 *
 * Return: 0, -ENODEV, or -ETIMEDOUT
 */
int edu_init(struct edu *edu);

/**
 * edu_load() - DMA from memory into the device's buffer
 * @edu: the device
 * @iova: where to read
 * @len: bytes, at most EDU_BUF_SIZE
 *
 * Says nothing about what moved: the device finishes a blocked transfer too.
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_load(struct edu *edu, __u64 iova, __u32 len);

/**
 * edu_store() - DMA from the device's buffer into memory
 * @edu: the device
 * @iova: where to write
 * @len: bytes, at most EDU_BUF_SIZE
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_store(struct edu *edu, __u64 iova, __u32 len);

/* The same without waiting for the end */
void edu_start_store(struct edu *edu, __u64 iova, __u32 len);

/* Fill @p with bytes that were never used before in this process */
void edu_pattern(void *p);

/**
 * edu_fill() - Give the device's buffer a new pattern, through the mailbox
 * @edu: the device
 *
 * Return: EDU_MOVED, and everything else is a failure
 */
enum edu_result edu_fill(struct edu *edu);

/**
 * edu_write() - Device writes its buffer to @iova; did @p receive it?
 * @edu: the device, with a known buffer: edu_fill() or edu_read() before
 * @iova: where the device writes
 * @p: the memory expected there, given a new pattern first
 *
 * Return: see enum edu_result
 */
enum edu_result edu_write(struct edu *edu, __u64 iova, void *p);

/**
 * edu_read() - Device reads @iova; did it get what @p holds?
 * @edu: the device, with a known buffer
 * @iova: where the device reads
 * @p: the memory expected there, given a new pattern first
 *
 * Needs the mailbox.
 *
 * Return: see enum edu_result
 */
enum edu_result edu_read(struct edu *edu, __u64 iova, void *p);

/**
 * edu_try_read() - Device reads @iova, where the mailbox is out of reach
 * @edu: the device, with a known buffer
 * @iova: where the device reads
 * @p: the memory there, given a new pattern first
 *
 * Return: 0, or -ETIMEDOUT
 */
int edu_try_read(struct edu *edu, __u64 iova, void *p);

/**
 * edu_check_read() - The second half of edu_read(), after edu_try_read()
 * @edu: the device, which can reach its mailbox now
 * @p: as for edu_try_read()
 *
 * Return: see enum edu_result
 */
enum edu_result edu_check_read(struct edu *edu, const void *p);

/* Raise the device's interrupt, and take it back */
void edu_irq_raise(struct edu *edu);
void edu_irq_ack(struct edu *edu);

#endif
