// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the command queue's input: which commands the driver issues,
 * their order, and its reaction to a failed CMD_SYNC.
 *
 * A list replaces the queue, so the tests need no SMMU. Opcodes and fields are
 * literal numbers, as in arm-smmu-v3-guest-test.c.
 */
#include <kunit/device.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/io-pgtable.h>
#include <linux/iommu.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "arm-smmu-v3-user.h"

#define OP_CFGI_CD	0x05ULL
#define OP_NH_ALL	0x10ULL
#define OP_NH_VA	0x12ULL
#define OP_S12_VMALL	0x28ULL
#define OP_S2_IPA	0x2aULL
#define OP_ATC_INV	0x40ULL
#define OP_SYNC		0x46ULL

/* More than the number of entries in a 64 KiB table */
#define MAX_CMDS	10000

/* StreamIDs of the device: physical and virtual */
#define SID		3
#define VSID		0x77

/* Offset of the function's ATS capability */
#define ATS_CAP		0x100

struct test_queue {
	struct arm_smmu_device smmu;
	struct arm_smmu_master master;
	struct arm_smmu_stream stream;
	struct arm_smmu_ste strtab[SID + 1];
	struct dev_iommu dev_iommu;
	struct iommu_fwspec fwspec;
	struct pci_dev pdev;
	struct pci_bus bus;
	/* ATS control register, commands issued before its last write */
	u16 ats_ctrl;
	unsigned int num_at_ats;
	bool absent;
	struct arm_smmu_domain *s2;
	/* The issued commands; a CMD_SYNC is one word */
	u64 cmds[MAX_CMDS][2];
	unsigned int num;
	unsigned int syncs;
	/* Number of the CMD_SYNC that fails, from 1 on */
	unsigned int fail_sync;
	/* Called for each list of commands */
	void (*look)(struct kunit *test, const u64 *cmds, int n);
	struct arm_smmu_vsmmu *vsmmu;
	/* For the thread that waits for a StreamID in flight */
	struct completion begin;
	struct completion waited;
	bool waits_for_unlink;
	struct iommu_vdevice vdev;
};

static int fake_issue_cmdlist(struct arm_smmu_device *smmu,
			      struct arm_smmu_cmdq *cmdq, u64 *cmds, int n,
			      bool sync)
{
	struct kunit *test = kunit_get_current_test();
	struct test_queue *q = test->priv;
	int i;

	if (q->look)
		q->look(test, cmds, n);
	if (q->num + n + sync > MAX_CMDS)
		KUNIT_FAIL_AND_ABORT(test, "%u commands are too many", q->num);
	for (i = 0; i != n; i++, q->num++)
		memcpy(q->cmds[q->num], &cmds[2 * i], sizeof(q->cmds[0]));
	if (!sync)
		return 0;
	q->cmds[q->num][0] = OP_SYNC;
	q->cmds[q->num++][1] = 0;
	return ++q->syncs == q->fail_sync ? -ETIMEDOUT : 0;
}

static u64 op(const struct test_queue *q, unsigned int i)
{
	return q->cmds[i][0] & 0xff;
}

static u16 vmid_of(const struct test_queue *q, unsigned int i)
{
	return q->cmds[i][0] >> 32;
}

static void forget(struct test_queue *q)
{
	q->num = 0;
	q->syncs = 0;
	q->fail_sync = 0;
}

/* A stage 2 for user space */
static struct arm_smmu_domain *make_s2(struct kunit *test, u32 flags)
{
	const struct iommu_hwpt_arm_smmuv3_pgtable want = { .stage = 2 };
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2;

	s2 = arm_smmu_domain_alloc(true);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, s2);
	s2->domain.type = IOMMU_DOMAIN_UNMANAGED;
	s2->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	KUNIT_ASSERT_EQ(test, 0,
			arm_smmu_domain_finalise(s2, &q->smmu, flags, &want));
	return s2;
}

static void free_s2(struct arm_smmu_domain *s2)
{
	free_io_pgtable_ops(s2->pgtbl_ops);
	kfree(s2);
}

static struct arm_smmu_vsmmu *
make_idle_vsmmu(struct kunit *test, struct arm_smmu_domain *s2)
{
	struct test_queue *q = test->priv;
	const struct iommu_viommu_ops *ops;
	struct iommu_viommu *viommu;

	ops = arm_smmu_viommu_ops(q->master.dev, IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ops);
	viommu = ops->alloc(q->master.dev, &s2->domain, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, viommu);
	return to_vsmmu(viommu);
}

static void free_idle_vsmmu(struct arm_smmu_vsmmu *vsmmu)
{
	vsmmu->core.ops->free(&vsmmu->core);
}

/* As if a device were attached to a nested domain of the vSMMU */
static int attach_vsmmu(struct arm_smmu_vsmmu *vsmmu)
{
	struct arm_smmu_nested_domain nested = {
		.domain.type = IOMMU_DOMAIN_NESTED,
		.vsmmu = vsmmu,
	};

	guard(mutex)(&arm_smmu_asid_lock);
	return arm_smmu_attach_vmid(&nested.domain);
}

static void detach_vsmmu(struct arm_smmu_vsmmu *vsmmu)
{
	struct arm_smmu_nested_domain nested = {
		.domain.type = IOMMU_DOMAIN_NESTED,
		.vsmmu = vsmmu,
	};

	guard(mutex)(&arm_smmu_asid_lock);
	arm_smmu_detach_vmid(&nested.domain);
}

static struct arm_smmu_vsmmu *make_vsmmu(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_vsmmu *vsmmu = make_idle_vsmmu(test, q->s2);

	KUNIT_ASSERT_EQ(test, 0, attach_vsmmu(vsmmu));
	return vsmmu;
}

static void free_vsmmu(struct arm_smmu_vsmmu *vsmmu)
{
	detach_vsmmu(vsmmu);
	free_idle_vsmmu(vsmmu);
}

static void link_vdev(struct kunit *test)
{
	struct test_queue *q = test->priv;

	q->vdev = (struct iommu_vdevice){
		.viommu = &q->vsmmu->core,
		.dev = q->master.dev,
		.virt_id = VSID,
	};
	KUNIT_ASSERT_EQ(test, 0,
			xa_err(xa_store(&q->vsmmu->core.vdevs, VSID, &q->vdev,
					GFP_KERNEL)));
	q->vsmmu->core.ops->link_vdevice(&q->vdev);
}

static void unlink_vdev(struct test_queue *q)
{
	xa_erase(&q->vsmmu->core.vdevs, VSID);
	q->vsmmu->core.ops->unlink_vdevice(&q->vdev);
}

/*
 * A guest's requests
 */

/* Pass @num commands in user memory to the vSMMU */
static int invalidate(struct kunit *test, const u64 (*cmds)[2], u32 num,
		      u32 *done)
{
	struct test_queue *q = test->priv;
	struct iommu_user_data_array array = {
		.type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmds),
		.entry_num = num,
	};
	unsigned long uaddr;
	int ret;

	uaddr = kunit_vm_mmap(test, NULL, 0, PAGE_ALIGN(num * sizeof(*cmds)),
			      PROT_READ | PROT_WRITE,
			      MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, 0, uaddr);
	array.uptr = (void __user *)uaddr;
	KUNIT_ASSERT_EQ(test, 0,
			copy_to_user(array.uptr, cmds, num * sizeof(*cmds)));

	ret = q->vsmmu->core.ops->cache_invalidate(&q->vsmmu->core, &array);
	*done = array.entry_num;
	return ret;
}

static u64 (*alloc_cmds(struct kunit *test, u32 num))[2]
{
	u64 (*cmds)[2] = kunit_kcalloc(test, num, sizeof(*cmds), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, cmds);
	for (i = 0; i != num; i++) {
		cmds[i][0] = OP_NH_VA;
		cmds[i][1] = (u64)i << 12;
	}
	return cmds;
}

/* Each queue size and request length: commands per CMD_SYNC */
static void test_request_is_bounded(struct kunit *test)
{
	static const u32 nums[] = { 1, 15, 16, 17, 63, 64, 65, 127, 128, 129,
				    1000, 1023, 1024, 1025, 4000 };
	u64 (*cmds)[2] = alloc_cmds(test, 4000);
	struct test_queue *q = test->priv;
	unsigned int shift, i, j;

	for (shift = 7; shift <= 15; shift += 2) {
		const u32 limit = shift < 13 ? 1U << shift >> 3 : 1024;

		q->smmu.cmdq.q.llq.max_n_shift = shift;
		for (i = 0; i != ARRAY_SIZE(nums); i++) {
			u32 done, waiting = 0, seen = 0;

			forget(q);
			KUNIT_ASSERT_EQ(test, 0, invalidate(test, cmds, nums[i],
							    &done));
			KUNIT_ASSERT_EQ(test, nums[i], done);
			for (j = 0; j != q->num; j++) {
				if (op(q, j) == OP_SYNC) {
					waiting = 0;
					continue;
				}
				if (++waiting > limit || op(q, j) != OP_NH_VA ||
				    vmid_of(q, j) != q->vsmmu->tag.s2_cfg.vmid ||
				    q->cmds[j][1] != (u64)seen++ << 12)
					KUNIT_FAIL_AND_ABORT(test,
							     "shift %u, request of %u: command %u is %016llx, the %uth without a CMD_SYNC",
							     shift, nums[i], j,
							     q->cmds[j][0],
							     waiting);
			}
			KUNIT_ASSERT_EQ(test, nums[i], seen);
			KUNIT_ASSERT_EQ(test, 0, waiting);
			/* No more CMD_SYNCs than needed */
			KUNIT_ASSERT_EQ(test, DIV_ROUND_UP(nums[i], limit),
					q->syncs);
		}
	}
}

/* Commands count as done if their CMD_SYNC has succeeded */
static void test_request_sync_fails(struct kunit *test)
{
	u64 (*cmds)[2] = alloc_cmds(test, 1000);
	struct test_queue *q = test->priv;
	unsigned int i;
	u32 done;

	/* 128 commands per CMD_SYNC */
	q->smmu.cmdq.q.llq.max_n_shift = 10;
	for (i = 1; i <= 8; i++) {
		forget(q);
		q->fail_sync = i;
		KUNIT_EXPECT_EQ(test, -ETIMEDOUT,
				invalidate(test, cmds, 1000, &done));
		KUNIT_EXPECT_EQ(test, (i - 1) * 128, done);
		KUNIT_EXPECT_EQ(test, i, q->syncs);
	}
}

/* Commands before a bad one are issued and completed */
static void test_request_bad_command(struct kunit *test)
{
	static const u32 bad[] = { 0, 1, 63, 64, 127, 128, 129, 999 };
	struct test_queue *q = test->priv;
	unsigned int i;

	q->smmu.cmdq.q.llq.max_n_shift = 10;
	for (i = 0; i != ARRAY_SIZE(bad); i++) {
		u64 (*cmds)[2] = alloc_cmds(test, 1000);
		u32 done;

		/* Not a guest's opcode, or a stream that this guest lacks */
		cmds[bad[i]][0] = i & 1 ? OP_S12_VMALL : OP_CFGI_CD;
		cmds[bad[i]][1] = 0;
		forget(q);
		KUNIT_EXPECT_EQ(test, -EIO,
				invalidate(test, cmds, 1000, &done));
		KUNIT_EXPECT_EQ(test, bad[i], done);
		KUNIT_EXPECT_EQ(test, bad[i], q->num - q->syncs);
		if (bad[i])
			KUNIT_EXPECT_EQ(test, OP_SYNC, op(q, q->num - 1));
	}
}

/* The TLB is invalidated before an ATC can refill from it, for any chunks */
static void test_atc_after_tlb(struct kunit *test)
{
	struct test_queue *q = test->priv;
	unsigned int at, i;

	link_vdev(test);
	q->master.ats_settled = true;
	for (at = 0; at != 130; at++) {
		u64 (*cmds)[2] = alloc_cmds(test, 200);
		bool tlb_waits = false;
		unsigned int atcs = 0;
		u32 done;

		/* Two in a row, and one after another command */
		cmds[at][0] = OP_ATC_INV | (u64)VSID << 32;
		cmds[at + 1][0] = OP_ATC_INV | (u64)VSID << 32;
		cmds[at + 3][0] = OP_ATC_INV | (u64)VSID << 32;
		forget(q);
		KUNIT_ASSERT_EQ(test, 0, invalidate(test, cmds, 200, &done));
		KUNIT_ASSERT_EQ(test, 200, done);
		for (i = 0; i != q->num; i++) {
			switch (op(q, i)) {
			case OP_SYNC:
				tlb_waits = false;
				break;
			case OP_ATC_INV:
				atcs++;
				KUNIT_ASSERT_EQ(test, SID,
						q->cmds[i][0] >> 32);
				if (tlb_waits)
					KUNIT_FAIL_AND_ABORT(test,
							     "at %u: command %u overtakes one of the TLB",
							     at, i);
				break;
			default:
				tlb_waits = true;
			}
		}
		KUNIT_ASSERT_EQ(test, 3, atcs);
		KUNIT_ASSERT_EQ(test, 200, q->num - q->syncs);
	}
	unlink_vdev(q);
}

/* Commands for a function without ATS are skipped, without an error */
static void test_atc_without_ats(struct kunit *test)
{
	const u64 atc[][2] = { { OP_ATC_INV | (u64)VSID << 32 } };
	u64 (*cmds)[2] = alloc_cmds(test, 100);
	struct test_queue *q = test->priv;
	u32 done;

	link_vdev(test);
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, 1, done);
	KUNIT_EXPECT_EQ(test, 0, q->num);

	cmds[50][0] = atc[0][0];
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 100, &done));
	KUNIT_EXPECT_EQ(test, 100, done);
	KUNIT_EXPECT_EQ(test, 99, q->num - q->syncs);

	/* The same for a function whose ATS is about to be turned off */
	q->master.ats_settled = true;
	mutex_lock(&arm_smmu_asid_lock);
	arm_smmu_stop_user_atc_inv(&q->master);
	mutex_unlock(&arm_smmu_asid_lock);
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, 0, q->num);
	unlink_vdev(q);
}

/* A PASID that the function does not have */
static void test_atc_pasid(struct kunit *test)
{
	const u64 atc[][2] = { { OP_ATC_INV | (u64)VSID << 32 | 0x10a00, 52 } };
	struct test_queue *q = test->priv;
	u32 done;

	q->master.ats_settled = true;
	link_vdev(test);

	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, OP_ATC_INV | (u64)SID << 32, q->cmds[0][0]);
	KUNIT_EXPECT_EQ(test, 52, q->cmds[0][1]);

	forget(q);
	q->master.ssid_bits = 4;
	KUNIT_EXPECT_EQ(test, -EIO, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, 0, done);
	KUNIT_EXPECT_EQ(test, 0, q->num);

	q->master.ssid_bits = 5;
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, OP_ATC_INV | (u64)SID << 32 | 0x10a00,
			q->cmds[0][0]);
	unlink_vdev(q);
}

static int waiter_thread(void *data)
{
	struct test_queue *q = data;

	if (q->waits_for_unlink) {
		q->vsmmu->core.ops->unlink_vdevice(&q->vdev);
	} else {
		mutex_lock(&arm_smmu_asid_lock);
		arm_smmu_stop_user_atc_inv(&q->master);
		mutex_unlock(&arm_smmu_asid_lock);
	}
	complete(&q->waited);
	return 0;
}

/* A command with a StreamID is not in the queue yet */
static void look_waits(struct kunit *test, const u64 *cmds, int n)
{
	struct test_queue *q = test->priv;
	struct task_struct *task;

	q->look = NULL;
	KUNIT_EXPECT_EQ(test, (u64)SID, cmds[0] >> 32);
	if (q->waits_for_unlink)
		xa_erase(&q->vsmmu->core.vdevs, VSID);
	task = kthread_run(waiter_thread, q, "smmu-queue-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	KUNIT_EXPECT_EQ(test, 0,
			wait_for_completion_timeout(&q->waited, HZ / 5));
}

/* A vDEVICE stays while ATS of its function is turned off */
static void test_unlink_waits_for_ats_off(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct task_struct *task;

	link_vdev(test);
	q->waits_for_unlink = true;
	mutex_lock(&arm_smmu_asid_lock);
	xa_erase(&q->vsmmu->core.vdevs, VSID);
	task = kthread_run(waiter_thread, q, "smmu-queue-test");
	if (!IS_ERR(task))
		KUNIT_EXPECT_EQ(test, 0,
				wait_for_completion_timeout(&q->waited, HZ / 5));
	mutex_unlock(&arm_smmu_asid_lock);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&q->waited, HZ * 60));
}

/* A vDEVICE is unlinked after the last command with its StreamID */
static void test_unlink_waits(struct kunit *test)
{
	const u64 cmds[][2] = { { OP_CFGI_CD | (u64)VSID << 32 } };
	struct test_queue *q = test->priv;
	u32 done;

	link_vdev(test);
	q->waits_for_unlink = true;
	q->look = look_waits;
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 1, &done));
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&q->waited, 60 * HZ));
	KUNIT_EXPECT_EQ(test, -EIO, invalidate(test, cmds, 1, &done));
}

/* ATS is turned off after the last invalidation for the function */
static void test_stop_ats_waits(struct kunit *test)
{
	const u64 cmds[][2] = { { OP_ATC_INV | (u64)VSID << 32 } };
	struct test_queue *q = test->priv;
	u32 done;

	link_vdev(test);
	q->master.ats_settled = true;
	q->look = look_waits;
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 1, &done));
	KUNIT_EXPECT_EQ(test, 2, q->num);
	KUNIT_EXPECT_NE(test, 0,
			wait_for_completion_timeout(&q->waited, 60 * HZ));
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 1, &done));
	KUNIT_EXPECT_EQ(test, 2, q->num);
	unlink_vdev(q);
}

static void look_unlocked(struct kunit *test, const u64 *cmds, int n)
{
	struct test_queue *q = test->priv;

	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&q->vsmmu->sids));
}

/* Commands without a StreamID do not delay an unlink */
static void test_unlink_does_not_wait(struct kunit *test)
{
	u64 (*cmds)[2] = alloc_cmds(test, 100);
	struct test_queue *q = test->priv;
	u32 done;

	q->look = look_unlocked;
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 100, &done));
	KUNIT_EXPECT_EQ(test, 100, done);
}

/*
 * Changes of stage 2
 */

/* Two CMD_SYNCs cover the VMIDs of any number of vSMMUs */
static void test_s2_change(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_vsmmu *more[32] = { q->vsmmu };
	unsigned int direct, num, i;

	for (direct = 0; direct != 2; direct++) {
		if (direct) {
			mutex_lock(&arm_smmu_asid_lock);
			KUNIT_ASSERT_EQ(test, 0,
					arm_smmu_attach_vmid(&q->s2->domain));
			mutex_unlock(&arm_smmu_asid_lock);
		}
		for (num = 1; num <= ARRAY_SIZE(more); num++) {
			u64 by_ipa = 0, all = 0;

			if (num > 1 && !direct)
				more[num - 1] = make_vsmmu(test);
			forget(q);
			arm_smmu_s2_parent_inv(q->s2, SZ_1G, PAGE_SIZE,
					       PAGE_SIZE, true);
			KUNIT_ASSERT_EQ(test, 2, q->syncs);
			for (i = 0; op(q, i) != OP_SYNC; i++) {
				KUNIT_ASSERT_EQ(test, OP_S2_IPA, op(q, i));
				by_ipa |= BIT_ULL(vmid_of(q, i));
			}
			for (i++; op(q, i) != OP_SYNC; i++) {
				KUNIT_ASSERT_EQ(test, OP_NH_ALL, op(q, i));
				all |= BIT_ULL(vmid_of(q, i));
			}
			KUNIT_ASSERT_EQ(test, q->num, i + 1);
			for (i = 0; i != (direct ? ARRAY_SIZE(more) : num); i++)
				KUNIT_ASSERT_TRUE(test, all &
						  BIT_ULL(more[i]->tag.s2_cfg.vmid));
			KUNIT_ASSERT_EQ(test, direct,
					hweight64(by_ipa & ~all));
			KUNIT_ASSERT_EQ(test, 0, all & ~by_ipa);
		}
	}

	/* The whole address space */
	forget(q);
	arm_smmu_s2_parent_inv(q->s2, 0, 0, 0, false);
	KUNIT_EXPECT_EQ(test, 1, q->syncs);
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(more) + 1, q->num - q->syncs);
	for (i = 0; i != ARRAY_SIZE(more) + 1; i++)
		KUNIT_EXPECT_EQ(test, OP_S12_VMALL, op(q, i));

	mutex_lock(&arm_smmu_asid_lock);
	arm_smmu_detach_vmid(&q->s2->domain);
	mutex_unlock(&arm_smmu_asid_lock);
	for (i = 1; i != ARRAY_SIZE(more); i++)
		free_vsmmu(more[i]);
}

/* A stage 2 without a device needs no command */
static void test_s2_change_unused(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2 = make_s2(test, IOMMU_HWPT_ALLOC_NEST_PARENT);

	forget(q);
	arm_smmu_s2_parent_inv(s2, 0, SZ_1G, PAGE_SIZE, false);
	KUNIT_EXPECT_EQ(test, 0, q->num);
	free_s2(s2);
}

/* Without range invalidation: page by page, up to the entries of one table */
static void test_unmap_is_bounded(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2;
	struct io_pgtable *iop;
	unsigned int nest;

	for (nest = 0; nest != 2; nest++) {
		const size_t max = nest ? 64 : PAGE_SIZE / 8;

		/* A small queue lowers the limit */
		q->smmu.cmdq.q.llq.max_n_shift = nest ? 9 : 20;
		q->smmu.features &= ~ARM_SMMU_FEAT_RANGE_INV;
		s2 = nest ? q->s2 : make_s2(test, 0);
		iop = io_pgtable_ops_to_pgtable(s2->pgtbl_ops);
		if (!nest) {
			/* Not attached: there is nothing to invalidate */
			forget(q);
			iop->cfg.tlb->tlb_flush_walk(0, PAGE_SIZE, PAGE_SIZE,
						     s2);
			iop->cfg.tlb->tlb_flush_all(s2);
			KUNIT_EXPECT_EQ(test, 0, q->num);
			mutex_lock(&arm_smmu_asid_lock);
			KUNIT_ASSERT_EQ(test, 0,
					arm_smmu_attach_vmid(&s2->domain));
			mutex_unlock(&arm_smmu_asid_lock);
		}

		forget(q);
		iop->cfg.tlb->tlb_flush_walk(0, max * PAGE_SIZE, PAGE_SIZE, s2);
		KUNIT_EXPECT_EQ(test, OP_S2_IPA, op(q, 0));
		KUNIT_EXPECT_NE(test, 0, vmid_of(q, 0));
		KUNIT_EXPECT_EQ(test, max, q->num - q->syncs - nest);

		forget(q);
		iop->cfg.tlb->tlb_flush_walk(0, (max + 1) * PAGE_SIZE,
					     PAGE_SIZE, s2);
		KUNIT_EXPECT_EQ(test, OP_S12_VMALL, op(q, 0));
		KUNIT_EXPECT_EQ(test, 1, q->num - q->syncs);
		KUNIT_EXPECT_EQ(test, 1, q->syncs);

		forget(q);
		q->smmu.features |= ARM_SMMU_FEAT_RANGE_INV;
		iop->cfg.tlb->tlb_flush_walk(0, SZ_1G, PAGE_SIZE, s2);
		KUNIT_EXPECT_EQ(test, OP_S2_IPA, op(q, 0));
		KUNIT_EXPECT_LT(test, q->num - q->syncs - nest, 8);
		if (!nest) {
			mutex_lock(&arm_smmu_asid_lock);
			arm_smmu_detach_vmid(&s2->domain);
			mutex_unlock(&arm_smmu_asid_lock);
			free_s2(s2);
		}
	}
}

/*
 * VMIDs
 */

/* A VMID whose flush has failed is lost; others are reused */
static void test_vmid_of_failed_flush(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_vsmmu *vsmmu;
	u16 vmid;

	vsmmu = make_vsmmu(test);
	vmid = vsmmu->tag.s2_cfg.vmid;
	forget(q);
	free_vsmmu(vsmmu);
	KUNIT_EXPECT_EQ(test, 1, q->syncs);
	KUNIT_EXPECT_EQ(test, OP_S12_VMALL | (u64)vmid << 32, q->cmds[0][0]);

	vsmmu = make_vsmmu(test);
	KUNIT_EXPECT_EQ(test, vmid, vsmmu->tag.s2_cfg.vmid);
	forget(q);
	q->fail_sync = 1;
	free_vsmmu(vsmmu);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&q->smmu.vmids_lost));

	vsmmu = make_vsmmu(test);
	KUNIT_EXPECT_NE(test, vmid, vsmmu->tag.s2_cfg.vmid);
	free_vsmmu(vsmmu);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&q->smmu.vmids_lost));
}

/* Any number of vSMMUs: only those with an attached device have a VMID */
static void test_vmid_of_vsmmus(struct kunit *test)
{
	u64 (*cmds)[2] = alloc_cmds(test, 100);
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2[10];
	const unsigned int num = ARRAY_SIZE(s2) * 32;
	struct arm_smmu_vsmmu **vsmmus, *first;
	unsigned int i;
	u32 done;

	vsmmus = kunit_kcalloc(test, num, sizeof(*vsmmus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vsmmus);
	for (i = 0; i != num; i++) {
		if (i % 32 == 0)
			s2[i / 32] = make_s2(test,
					     IOMMU_HWPT_ALLOC_NEST_PARENT);
		vsmmus[i] = make_idle_vsmmu(test, s2[i / 32]);
		KUNIT_ASSERT_EQ(test, 0, vsmmus[i]->tag.s2_cfg.vmid);
	}

	/* Nothing is cached: commands are checked, but not issued */
	first = q->vsmmu;
	q->vsmmu = vsmmus[0];
	link_vdev(test);
	cmds[98][0] = OP_CFGI_CD | (u64)VSID << 32;
	cmds[98][1] = 0;
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 100, &done));
	KUNIT_EXPECT_EQ(test, 100, done);
	cmds[99][0] = OP_S12_VMALL;
	KUNIT_EXPECT_EQ(test, -EIO, invalidate(test, cmds, 100, &done));
	KUNIT_EXPECT_EQ(test, 99, done);
	cmds[98][0] = OP_CFGI_CD | (u64)(VSID + 1) << 32;
	KUNIT_EXPECT_EQ(test, -EIO, invalidate(test, cmds, 100, &done));
	KUNIT_EXPECT_EQ(test, 98, done);
	arm_smmu_s2_parent_inv(s2[0], SZ_1G, PAGE_SIZE, PAGE_SIZE, true);
	KUNIT_EXPECT_EQ(test, 0, q->num);

	KUNIT_EXPECT_EQ(test, 0, attach_vsmmu(q->vsmmu));
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, cmds, 98, &done));
	KUNIT_EXPECT_EQ(test, 99, q->num);
	for (i = 0; i != 98; i++)
		KUNIT_EXPECT_EQ(test, q->vsmmu->tag.s2_cfg.vmid, vmid_of(q, i));
	detach_vsmmu(q->vsmmu);
	unlink_vdev(q);
	q->vsmmu = first;

	/* q->vsmmu has one of the 255 */
	for (i = 0; i != 254; i++)
		KUNIT_EXPECT_EQ(test, 0, attach_vsmmu(vsmmus[i]));
	KUNIT_EXPECT_EQ(test, -ENOSPC, attach_vsmmu(vsmmus[i]));
	/* The second device of a vSMMU takes no VMID and gives none back */
	KUNIT_EXPECT_EQ(test, 0, attach_vsmmu(vsmmus[1]));
	detach_vsmmu(vsmmus[1]);
	KUNIT_EXPECT_EQ(test, -ENOSPC, attach_vsmmu(vsmmus[i]));
	detach_vsmmu(vsmmus[0]);
	KUNIT_EXPECT_EQ(test, 0, attach_vsmmu(vsmmus[i]));
	for (; i != 0; i--)
		detach_vsmmu(vsmmus[i]);

	for (i = 0; i != num; i++)
		free_idle_vsmmu(vsmmus[i]);
	for (i = 0; i != ARRAY_SIZE(s2); i++)
		free_s2(s2[i]);
}

/* A stage 2 has a VMID from its first device to its last */
static void test_vmid_while_attached(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2 = make_s2(test, 0);
	const unsigned int num = 300;
	struct arm_smmu_domain **many;
	unsigned int i;
	u16 vmid;

	many = kunit_kcalloc(test, num, sizeof(*many), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, many);

	KUNIT_EXPECT_EQ(test, 0, s2->s2_cfg.vmid);
	/* More domains than VMIDs */
	for (i = 0; i != num; i++)
		many[i] = make_s2(test, 0);

	mutex_lock(&arm_smmu_asid_lock);
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_attach_vmid(&s2->domain));
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_attach_vmid(&s2->domain));
	vmid = s2->s2_cfg.vmid;
	KUNIT_EXPECT_NE(test, 0, vmid);
	forget(q);
	arm_smmu_detach_vmid(&s2->domain);
	KUNIT_EXPECT_EQ(test, vmid, s2->s2_cfg.vmid);
	KUNIT_EXPECT_EQ(test, 0, q->num);
	arm_smmu_detach_vmid(&s2->domain);
	KUNIT_EXPECT_EQ(test, 0, s2->s2_cfg.vmid);
	KUNIT_EXPECT_EQ(test, OP_S12_VMALL | (u64)vmid << 32, q->cmds[0][0]);
	KUNIT_EXPECT_EQ(test, 1, q->syncs);

	/* The vSMMU has one of the 255 */
	for (i = 0; i != 254; i++)
		KUNIT_EXPECT_EQ(test, 0, arm_smmu_attach_vmid(&many[i]->domain));
	KUNIT_EXPECT_EQ(test, -ENOSPC, arm_smmu_attach_vmid(&s2->domain));
	forget(q);
	arm_smmu_detach_vmid(&many[0]->domain);
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_attach_vmid(&s2->domain));
	arm_smmu_detach_vmid(&s2->domain);
	for (i = 1; i != 254; i++)
		arm_smmu_detach_vmid(&many[i]->domain);
	mutex_unlock(&arm_smmu_asid_lock);

	for (i = 0; i != num; i++)
		free_s2(many[i]);
	free_s2(s2);
}

/*
 * Attaching a device
 */

static int attach(struct kunit *test, struct arm_smmu_domain *s2,
		  struct arm_smmu_attach_state *state)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_ste ste;
	int ret;

	*state = (struct arm_smmu_attach_state){
		.master = &q->master,
		.old_domain = q->master.attached,
		.ssid = IOMMU_NO_PASID,
	};
	mutex_lock(&arm_smmu_asid_lock);
	ret = arm_smmu_attach_prepare(state, &s2->domain);
	if (!ret) {
		/* The list entry needs no allocation */
		KUNIT_EXPECT_TRUE(test,
				  s2->devices.next == &q->master.domains[0].devices_elm ||
				  s2->devices.next == &q->master.domains[1].devices_elm);
		arm_smmu_make_s2_domain_ste(&ste, &q->master, s2,
					    state->ats_enabled);
		arm_smmu_install_ste_for_dev(&q->master, &ste);
		arm_smmu_attach_commit(state);
	}
	mutex_unlock(&arm_smmu_asid_lock);
	return ret;
}

static void leave(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct iommu_domain blocked = { .type = IOMMU_DOMAIN_BLOCKED };
	struct arm_smmu_attach_state state = {
		.master = &q->master,
		.old_domain = q->master.attached,
		.ssid = IOMMU_NO_PASID,
	};
	struct arm_smmu_ste ste;

	mutex_lock(&arm_smmu_asid_lock);
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_attach_prepare(&state, &blocked));
	arm_smmu_make_abort_ste(&ste);
	arm_smmu_install_ste_for_dev(&q->master, &ste);
	arm_smmu_attach_commit(&state);
	q->master.attached = NULL;
	mutex_unlock(&arm_smmu_asid_lock);
}

/* Attach to other domains and to the same one again, any number of times */
static void test_attach_takes_no_memory(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2[] = { make_s2(test, 0), make_s2(test, 0) };
	static const unsigned int way[] = { 0, 1, 1, 0, 0, 1, 0 };
	struct arm_smmu_attach_state state;
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(way); i++) {
		KUNIT_EXPECT_EQ(test, 0, attach(test, s2[way[i]], &state));
		KUNIT_EXPECT_TRUE(test, list_is_singular(&s2[way[i]]->devices));
		KUNIT_EXPECT_TRUE(test, list_empty(&s2[!way[i]]->devices));
		KUNIT_EXPECT_NE(test, 0, s2[way[i]]->s2_cfg.vmid);
		KUNIT_EXPECT_EQ(test, 0, s2[!way[i]]->s2_cfg.vmid);
	}
	leave(test);
	KUNIT_EXPECT_TRUE(test, list_empty(&s2[0]->devices));
	KUNIT_EXPECT_EQ(test, 0, s2[0]->s2_cfg.vmid);
	KUNIT_EXPECT_FALSE(test, q->master.domains[0].master);
	KUNIT_EXPECT_FALSE(test, q->master.domains[1].master);
	free_s2(s2[0]);
	free_s2(s2[1]);
}

/* The PCI core refuses a translation unit below 4 KiB, for example */
static void test_ats_refused(struct kunit *test)
{
	struct test_queue *q = test->priv;
	struct arm_smmu_domain *s2[] = { make_s2(test, 0), make_s2(test, 0) };
	struct arm_smmu_attach_state state;
	unsigned int i;

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "no PCI_ATS");

	q->smmu.pgsize_bitmap |= SZ_2K;
	q->pdev.ats_cap = ATS_CAP;
	q->fwspec.flags = IOMMU_FWSPEC_PCI_RC_ATS;

	for (i = 0; i != 4; i++) {
		forget(q);
		KUNIT_EXPECT_EQ(test, 0, attach(test, s2[i & 1], &state));
		KUNIT_EXPECT_FALSE(test, q->master.ats_enabled);
		KUNIT_EXPECT_FALSE(test, q->master.ats_settled);
		KUNIT_EXPECT_TRUE(test, q->master.ats_refused);
		KUNIT_EXPECT_EQ(test, 0,
				atomic_read(&s2[i & 1]->nr_ats_masters));
		KUNIT_EXPECT_EQ(test, 0,
				le64_to_cpu(q->strtab[SID].data[1]) >> 28 & 3);
	}
	leave(test);
	free_s2(s2[0]);
	free_s2(s2[1]);
}

/*
 * A function that can't answer
 */

static int config_read(struct pci_bus *bus, unsigned int devfn, int where,
		       int size, u32 *val)
{
	struct test_queue *q = container_of(bus, struct test_queue, bus);

	if (q->absent)
		*val = ~0;
	else if (where == ATS_CAP + PCI_ATS_CTRL)
		*val = q->ats_ctrl;
	else
		*val = 0x12345678;
	return PCIBIOS_SUCCESSFUL;
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where,
			int size, u32 val)
{
	struct test_queue *q = container_of(bus, struct test_queue, bus);

	if (where == ATS_CAP + PCI_ATS_CTRL) {
		q->ats_ctrl = val;
		q->num_at_ats = q->num;
	}
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = config_read,
	.write = config_write,
};

static void give_ats(struct kunit *test)
{
	struct test_queue *q = test->priv;

	if (!IS_ENABLED(CONFIG_PCI_ATS))
		kunit_skip(test, "no PCI_ATS");
	q->pdev.ats_cap = ATS_CAP;
	q->fwspec.flags = IOMMU_FWSPEC_PCI_RC_ATS;
}

static void set_quiet(struct test_queue *q, enum iommu_quiet why, bool quiet)
{
	arm_smmu_set_quiet(q->master.dev, why, quiet);
}

/* Check that ATS is on or off, for the function and for all users of it */
static void expect_ats(struct kunit *test, struct arm_smmu_domain *s2, bool on)
{
	const u64 atc[][2] = { { OP_ATC_INV | (u64)VSID << 32, 52 } };
	struct test_queue *q = test->priv;
	u32 done;

	KUNIT_EXPECT_EQ(test, on, !!(q->ats_ctrl & PCI_ATS_CTRL_ENABLE));
	KUNIT_EXPECT_EQ(test, on, !!q->pdev.ats_enabled);
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_atc_inv_domain(s2, SZ_1G, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, on, q->num == 2 && op(q, 0) == OP_ATC_INV);
	if (!on)
		KUNIT_EXPECT_EQ(test, 0, q->num);
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, on ? 2 : 0, q->num);
	forget(q);
}

/* No commands for a function in reset; its ATC is emptied before it is used */
static void test_quiet(struct kunit *test)
{
	const u64 atc[][2] = { { OP_ATC_INV | (u64)VSID << 32, 52 } };
	struct arm_smmu_domain *s2[] = { make_s2(test, 0), make_s2(test, 0) };
	struct test_queue *q = test->priv;
	struct arm_smmu_attach_state state;
	unsigned int why;
	u32 done;

	give_ats(test);
	link_vdev(test);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2[0], &state));
	expect_ats(test, s2[0], true);

	for (why = IOMMU_QUIET_RESET; why <= IOMMU_QUIET_POWER; why++) {
		set_quiet(q, why, true);
		KUNIT_EXPECT_EQ(test, 0, q->num);
		expect_ats(test, s2[0], false);
		set_quiet(q, why, true);
		set_quiet(q, !why, true);
		set_quiet(q, why, false);
		KUNIT_EXPECT_EQ(test, 0, q->num);
		expect_ats(test, s2[0], false);

		set_quiet(q, !why, false);
		KUNIT_EXPECT_EQ(test, OP_ATC_INV | (u64)SID << 32,
				q->cmds[0][0]);
		KUNIT_EXPECT_EQ(test, 52, q->cmds[0][1] & 0x3f);
		KUNIT_EXPECT_EQ(test, OP_SYNC, op(q, 1));
		KUNIT_EXPECT_EQ(test, 2, q->num);
		KUNIT_EXPECT_EQ(test, 2, q->num_at_ats);
		expect_ats(test, s2[0], true);
		set_quiet(q, why, false);
		KUNIT_EXPECT_EQ(test, 0, q->num);
	}

	/* Removed: no commands. Link failed: the ATC is still in use. */
	q->pdev.error_state = pci_channel_io_perm_failure;
	forget(q);
	KUNIT_EXPECT_EQ(test, 0,
			arm_smmu_atc_inv_domain(s2[0], SZ_1G, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, atc, 1, &done));
	KUNIT_EXPECT_EQ(test, 0, q->num);
	q->pdev.error_state = pci_channel_io_frozen;
	expect_ats(test, s2[0], true);
	q->pdev.error_state = pci_channel_io_normal;

	leave(test);
	expect_ats(test, s2[0], false);
	unlink_vdev(q);
	free_s2(s2[0]);
	free_s2(s2[1]);
}

static bool asked_atc(const struct test_queue *q)
{
	unsigned int i;

	for (i = 0; i != q->num; i++)
		if (op(q, i) == OP_ATC_INV)
			return true;
	return false;
}

/* A domain attached during a reset takes effect, its ATS after the reset */
static void test_attach_while_quiet(struct kunit *test)
{
	struct arm_smmu_domain *s2[] = { make_s2(test, 0), make_s2(test, 0) };
	struct test_queue *q = test->priv;
	struct arm_smmu_attach_state state;

	give_ats(test);
	link_vdev(test);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2[0], &state));

	/* With ATS to with ATS */
	set_quiet(q, IOMMU_QUIET_RESET, true);
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2[1], &state));
	KUNIT_EXPECT_PTR_EQ(test, &s2[1]->domain, q->master.attached);
	KUNIT_EXPECT_FALSE(test, asked_atc(q));
	expect_ats(test, s2[1], false);
	set_quiet(q, IOMMU_QUIET_RESET, false);
	expect_ats(test, s2[1], true);
	expect_ats(test, s2[1], true);

	/* With ATS to without */
	set_quiet(q, IOMMU_QUIET_RESET, true);
	forget(q);
	leave(test);
	KUNIT_EXPECT_FALSE(test, asked_atc(q));
	set_quiet(q, IOMMU_QUIET_RESET, false);
	expect_ats(test, s2[1], false);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&s2[1]->nr_ats_masters));

	/* Without ATS to with ATS */
	set_quiet(q, IOMMU_QUIET_RESET, true);
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2[0], &state));
	KUNIT_EXPECT_FALSE(test, asked_atc(q));
	expect_ats(test, s2[0], false);
	set_quiet(q, IOMMU_QUIET_RESET, false);
	expect_ats(test, s2[0], true);

	leave(test);
	unlink_vdev(q);
	free_s2(s2[0]);
	free_s2(s2[1]);
}

/* If a function does not come back, its ATS stays off */
static void test_quiet_for_good(struct kunit *test)
{
	struct arm_smmu_domain *s2 = make_s2(test, 0);
	struct test_queue *q = test->priv;
	struct arm_smmu_attach_state state;

	give_ats(test);
	link_vdev(test);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2, &state));
	KUNIT_EXPECT_EQ(test, 1, le64_to_cpu(q->strtab[SID].data[1]) >> 28 & 3);

	set_quiet(q, IOMMU_QUIET_RESET, true);
	q->absent = true;
	forget(q);
	set_quiet(q, IOMMU_QUIET_RESET, false);
	KUNIT_EXPECT_FALSE(test, asked_atc(q));
	KUNIT_EXPECT_EQ(test, 0, le64_to_cpu(q->strtab[SID].data[1]) >> 28 & 3);
	q->absent = false;
	expect_ats(test, s2, false);
	set_quiet(q, IOMMU_QUIET_POWER, true);
	set_quiet(q, IOMMU_QUIET_POWER, false);
	expect_ats(test, s2, false);

	KUNIT_EXPECT_EQ(test, 0, attach(test, s2, &state));
	KUNIT_EXPECT_FALSE(test, q->master.ats_enabled);
	expect_ats(test, s2, false);
	leave(test);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&s2->nr_ats_masters));
	unlink_vdev(q);
	free_s2(s2);
}

static int quiet_thread(void *data)
{
	struct test_queue *q = data;

	wait_for_completion(&q->begin);
	set_quiet(q, IOMMU_QUIET_RESET, true);
	complete(&q->waited);
	return 0;
}

/* An unmap has found the function responsive, its command is in flight */
static void look_at_unmap(struct kunit *test, const u64 *cmds, int n)
{
	struct test_queue *q = test->priv;

	q->look = NULL;
	complete(&q->begin);
	mdelay(200);
	KUNIT_EXPECT_FALSE(test, completion_done(&q->waited));
}

static void test_quiet_waits(struct kunit *test)
{
	struct arm_smmu_domain *s2 = make_s2(test, 0);
	struct test_queue *q = test->priv;
	struct arm_smmu_attach_state state;
	struct task_struct *task;

	give_ats(test);
	KUNIT_EXPECT_EQ(test, 0, attach(test, s2, &state));
	task = kthread_run(quiet_thread, q, "smmu-queue-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	forget(q);
	q->look = look_at_unmap;
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_atc_inv_domain(s2, SZ_1G, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 2, q->num);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&q->waited, HZ * 60));
	forget(q);
	KUNIT_EXPECT_EQ(test, 0, arm_smmu_atc_inv_domain(s2, SZ_1G, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, q->num);
	set_quiet(q, IOMMU_QUIET_RESET, false);
	leave(test);
	free_s2(s2);
}

/*
 * Messages
 */

static unsigned int lines_in_log(const char *text)
{
	struct kmsg_dump_iter iter;
	unsigned int lines = 0;
	char line[256];
	size_t len;

	kmsg_dump_rewind(&iter);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line), &len))
		lines += !!strnstr(line, text, len);
	return lines;
}

/* A device can fail to answer any number of commands */
static void test_log_is_bounded(struct kunit *test)
{
	const unsigned int before = lines_in_log("CMDQ error");
	struct test_queue *q = test->priv;
	/* The SMMU has stopped with CERROR_ATC_INV_SYNC */
	u32 cons = 3 << 24;
	unsigned int i, lines;

	q->smmu.cmdq.q.cons_reg = (u32 __iomem *)&cons;
	for (i = 0; i != 500; i++)
		__arm_smmu_cmdq_skip_err(&q->smmu, &q->smmu.cmdq);
	lines = lines_in_log("CMDQ error") - before;
	KUNIT_EXPECT_GT(test, lines, 0);
	KUNIT_EXPECT_LT(test, lines, 50);
}

static int queue_test_init(struct kunit *test)
{
	struct test_queue *q;
	struct device *dev;

	q = kunit_kzalloc(test, sizeof(*q), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	test->priv = q;
	kunit_activate_static_stub(test, arm_smmu_cmdq_issue_cmdlist,
				   fake_issue_cmdlist);
	init_completion(&q->begin);
	init_completion(&q->waited);

	dev = kunit_device_register(test, "smmu");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	q->smmu.dev = dev;
	q->smmu.features = ARM_SMMU_FEAT_TRANS_S1 | ARM_SMMU_FEAT_TRANS_S2 |
			   ARM_SMMU_FEAT_NESTING | ARM_SMMU_FEAT_COHERENCY |
			   ARM_SMMU_FEAT_RANGE_INV | ARM_SMMU_FEAT_S2FWB |
			   ARM_SMMU_FEAT_ATS;
	q->smmu.ias = 40;
	q->smmu.oas = 40;
	q->smmu.pgsize_bitmap = SZ_4K | SZ_64K | SZ_2M | SZ_512M | SZ_1G;
	q->smmu.asid_bits = 16;
	q->smmu.ssid_bits = 20;
	q->smmu.vmid_bits = 8;
	ida_init(&q->smmu.vmid_map);
	mutex_init(&q->smmu.streams_mutex);
	q->smmu.cmdq.q.llq.max_n_shift = 10;
	q->smmu.strtab_cfg.linear.table = q->strtab;
	q->smmu.strtab_cfg.linear.num_ents = ARRAY_SIZE(q->strtab);

	q->bus.ops = &config_ops;
	q->pdev.bus = &q->bus;
	q->pdev.error_state = pci_channel_io_normal;
	q->pdev.dev.bus = &pci_bus_type;
	q->pdev.dev.iommu = &q->dev_iommu;
	q->dev_iommu.fwspec = &q->fwspec;
	q->dev_iommu.priv = &q->master;
	q->stream.id = SID;
	q->stream.master = &q->master;
	q->master.smmu = &q->smmu;
	q->master.dev = &q->pdev.dev;
	q->master.streams = &q->stream;
	q->master.num_streams = 1;

	q->s2 = make_s2(test, IOMMU_HWPT_ALLOC_NEST_PARENT);
	q->vsmmu = make_vsmmu(test);
	return 0;
}

static void queue_test_exit(struct kunit *test)
{
	struct test_queue *q = test->priv;

	q->look = NULL;
	forget(q);
	free_vsmmu(q->vsmmu);
	free_s2(q->s2);
	KUNIT_EXPECT_EQ(test, !atomic_read(&q->smmu.vmids_lost),
			ida_is_empty(&q->smmu.vmid_map));
	ida_destroy(&q->smmu.vmid_map);
}

static struct kunit_case queue_test_cases[] = {
	KUNIT_CASE(test_request_is_bounded),
	KUNIT_CASE(test_request_sync_fails),
	KUNIT_CASE(test_request_bad_command),
	KUNIT_CASE(test_atc_after_tlb),
	KUNIT_CASE(test_atc_without_ats),
	KUNIT_CASE(test_atc_pasid),
	KUNIT_CASE(test_unlink_waits),
	KUNIT_CASE(test_unlink_waits_for_ats_off),
	KUNIT_CASE(test_stop_ats_waits),
	KUNIT_CASE(test_unlink_does_not_wait),
	KUNIT_CASE(test_s2_change),
	KUNIT_CASE(test_s2_change_unused),
	KUNIT_CASE(test_unmap_is_bounded),
	KUNIT_CASE(test_vmid_of_failed_flush),
	KUNIT_CASE(test_vmid_of_vsmmus),
	KUNIT_CASE(test_vmid_while_attached),
	KUNIT_CASE(test_attach_takes_no_memory),
	KUNIT_CASE(test_ats_refused),
	KUNIT_CASE(test_quiet),
	KUNIT_CASE(test_attach_while_quiet),
	KUNIT_CASE(test_quiet_for_good),
	KUNIT_CASE(test_quiet_waits),
	KUNIT_CASE(test_log_is_bounded),
	{},
};

static struct kunit_suite queue_test_suite = {
	.name = "arm-smmu-v3-queue",
	.init = queue_test_init,
	.exit = queue_test_exit,
	.test_cases = queue_test_cases,
};

kunit_test_suites(&queue_test_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests for what reaches the command queue of the ARM SMMUv3");
MODULE_LICENSE("GPL");
