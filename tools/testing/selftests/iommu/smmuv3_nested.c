// SPDX-License-Identifier: GPL-2.0
/*
 * Nested translation on an SMMUv3: stage 1 tables of this program over a stage
 * 2 of the kernel, and a device that does DMA through both. Each test proves
 * its claims by the bytes that moved or did not move.
 */
#include <endian.h>
#include <pthread.h>
#include <time.h>

#include "smmuv3_utils.h"

#define OTHER_ASID	0x2b
#define OTHER_VSID	0x1235

/* ---- IOMMU_GET_HW_INFO ---- */

FIXTURE(hw_info)
{
	struct vm vm;
	struct guest_dev dev;
	struct iommu_hw_info cmd;
	__u8 buf[64];
};

FIXTURE_SETUP(hw_info)
{
	const char *why = guest_init(_metadata, &self->vm, &self->dev, 0);

	if (why)
		SKIP(return, "%s", why);
	memset(self->buf, 0xff, sizeof(self->buf));
	self->cmd.size = sizeof(self->cmd);
	self->cmd.dev_id = self->dev.id;
	self->cmd.data_len = sizeof(struct iommu_hw_info_arm_smmuv3);
	self->cmd.data_uptr = (uintptr_t)self->buf;
}

FIXTURE_TEARDOWN(hw_info)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

#define test_hw_info()							\
	FACT(iommufd_cmd(self->vm.fd, IOMMU_GET_HW_INFO, &self->cmd))
#define test_err_hw_info(_errno)					\
	REFUSED(_errno,							\
		iommufd_cmd(self->vm.fd, IOMMU_GET_HW_INFO, &self->cmd))

TEST_F(hw_info, fields)
{
	struct iommu_hw_info_arm_smmuv3 *info = (void *)self->buf;

	test_hw_info();
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, self->cmd.out_data_type);
	ASSERT_EQ(40, self->cmd.data_len);

	ASSERT_EQ(0, info->flags &
		     ~IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI);
	ASSERT_EQ(0, info->__reserved);
	/* The SMMU serves a device, so it translates, 64-bit and coherently */
	ASSERT_NE(0, info->idr[0] & (IDR0_S1P | IDR0_S2P));
	ASSERT_NE(0, smmuv3_get(IDR0_TTF, info->idr[0]) & IDR0_TTF_AARCH64);
	ASSERT_NE(0, info->idr[0] & IDR0_COHACC);
	ASSERT_NE(0, smmuv3_get(IDR1_SIDSIZE, info->idr[1]));
	ASSERT_NE(0, info->idr[5] &
		     (IDR5_GRAN4K | IDR5_GRAN16K | IDR5_GRAN64K));
	ASSERT_NE(7, smmuv3_get(IDR5_OAS, info->idr[5]));
}

TEST_F(hw_info, capabilities)
{
	struct iommu_hw_info_arm_smmuv3 *info = (void *)self->buf;
	__u64 pasid = IOMMU_HW_CAP_PCI_PASID_EXEC |
		      IOMMU_HW_CAP_PCI_PASID_PRIV;

	test_hw_info();
	/* edu is a conventional function: neither PASID nor ATS */
	ASSERT_EQ(0, self->cmd.out_max_pasid_log2);
	ASSERT_EQ(0, self->cmd.out_capabilities & pasid);
	ASSERT_NE(0, self->cmd.out_capabilities &
		     IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	if (smmuv3_get(IDR0_HTTU, info->idr[0]) != IDR0_HTTU_DIRTY)
		ASSERT_EQ(0, self->cmd.out_capabilities &
			     IOMMU_HW_CAP_DIRTY_TRACKING);
}

TEST_F(hw_info, truncates)
{
	self->cmd.data_len = 8;
	test_hw_info();
	ASSERT_EQ(40, self->cmd.data_len);
	ASSERT_EQ(0, memcmp(self->buf, &self->dev.info, 8));
	ASSERT_EQ(0xff, self->buf[8]);

	self->cmd.data_len = 0;
	self->cmd.data_uptr = 0;
	test_hw_info();
	ASSERT_EQ(40, self->cmd.data_len);
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, self->cmd.out_data_type);
}

TEST_F(hw_info, zeroes_the_rest)
{
	unsigned int i;

	self->cmd.data_len = sizeof(self->buf);
	test_hw_info();
	ASSERT_EQ(40, self->cmd.data_len);
	ASSERT_EQ(0, memcmp(self->buf, &self->dev.info, 40));
	for (i = 40; i < sizeof(self->buf); i++)
		ASSERT_EQ(0, self->buf[i]);
}

TEST_F(hw_info, input_type)
{
	static const __u32 bad[] = { IOMMU_HW_INFO_TYPE_INTEL_VTD, 3, 0xdead };
	unsigned int i;

	self->cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	self->cmd.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	test_hw_info();
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, self->cmd.out_data_type);

	self->cmd.in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	test_hw_info();
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, self->cmd.out_data_type);

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->cmd.in_data_type = bad[i];
		test_err_hw_info(EOPNOTSUPP);
	}

	/* Without the flag the kernel ignores the field */
	self->cmd.flags = 0;
	self->cmd.in_data_type = 0xdead;
	test_hw_info();
	ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, self->cmd.out_data_type);
}

TEST_F(hw_info, refused)
{
	unsigned int i;

	self->cmd.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE << 1;
	test_err_hw_info(EOPNOTSUPP);
	self->cmd.flags = 0;

	for (i = 0; i < sizeof(self->cmd.__reserved); i++) {
		self->cmd.__reserved[i] = 1;
		test_err_hw_info(EOPNOTSUPP);
		self->cmd.__reserved[i] = 0;
	}

	/* An output field, so its initial value does not matter */
	self->cmd.out_max_pasid_log2 = 0xff;
	test_hw_info();
	ASSERT_EQ(0, self->cmd.out_max_pasid_log2);

	self->cmd.dev_id = ID_UNKNOWN;
	test_err_hw_info(ENOENT);
	self->cmd.dev_id = self->vm.ioas;
	test_err_hw_info(ENOENT);
	self->cmd.dev_id = self->dev.id;

	self->cmd.data_uptr = 8;
	self->cmd.data_len = 40;
	test_err_hw_info(EFAULT);
	self->cmd.data_uptr = (uintptr_t)self->buf;

	self->cmd.size = offsetof(struct iommu_hw_info, out_capabilities);
	test_hw_info();
	self->cmd.size--;
	test_err_hw_info(EINVAL);
}

/* ---- One device, one vIOMMU ---- */

FIXTURE(nested)
{
	struct vm vm;
	struct guest_dev dev;
};

FIXTURE_SETUP(nested)
{
	const char *why = guest_init_nested(_metadata, &self->vm, &self->dev,
					    0);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(nested)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

TEST_F(nested, stage2)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	test_attach(dev, vm->s2);
	dma_prime(dev);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_reads(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
}

/* The IPA space that a VMM can offer to its guest */
TEST_F(nested, stage2_ranges)
{
	static const unsigned int oas[] = { 32, 36, 40, 42, 44, 48, 52 };
	struct guest_dev *dev = &self->dev;
	struct iommu_iova_range ranges[16];
	__u32 num = ARRAY_SIZE(ranges), i;
	struct vm *vm = &self->vm;

	test_attach(dev, vm->s2);
	FACT(iommufd_ioas_iova_ranges(vm->fd, vm->ioas, ranges, &num));
	ASSERT_LT(1, num);
	for (i = 0; i < num; i++)
		ASSERT_TRUE(ranges[i].last < MSI_WINDOW ||
			    ranges[i].start >= MSI_WINDOW + MSI_WINDOW_SIZE);
	/* The ranges end exactly where the range of stage 2 ends */
	i = oas[smmuv3_get(IDR5_OAS, dev->info.idr[5])];
	ASSERT_EQ((1ULL << i) - 1, ranges[num - 1].last);
	REFUSED(EINVAL, vm_map(vm, 0, MSI_WINDOW, READABLE));
	REFUSED(EINVAL, vm_map(vm, 0, 1ULL << i, READABLE));
}

TEST_F(nested, stage1_over_stage2)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	dma_reads(dev, GUEST_VA, vm_page(vm, 0));
	/* The IPA behind GUEST_VA is not an input address of stage 1 */
	dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_read_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
}

TEST_F(nested, stage1_permissions)
{
	const __u64 va = GUEST_VA + 0x100000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	FACT(smmuv3_s1_map(&dev->s1, va, vm_ipa(vm, 1), 4096, S1_RO));
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_reads(dev, va, vm_page(vm, 1));
	dma_write_blocked(dev, va, vm_page(vm, 1));
}

TEST_F(nested, stage2_permissions)
{
	const __u64 va_w = GUEST_VA + 0x100000, va_r = GUEST_VA + 0x200000;
	const __u64 va_none = GUEST_VA + 0x300000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 w = vm_ipa(vm, NR_DATA), r = vm_ipa(vm, NR_DATA + 1);
	__u64 none = vm_ipa(vm, NR_DATA + 2);

	test_ioas_map(vm, 1, w, WRITEABLE);
	test_ioas_map(vm, 2, r, READABLE);

	test_attach(dev, vm->s2);
	dma_prime(dev);
	dma_writes(dev, w, vm_page(vm, 1));
	dma_read_blocked(dev, w, vm_page(vm, 1));
	dma_reads(dev, r, vm_page(vm, 2));
	dma_write_blocked(dev, r, vm_page(vm, 2));

	/* Stage 1 can't grant more than stage 2 does */
	FACT(smmuv3_s1_map(&dev->s1, va_w, w, 4096, S1_RW));
	FACT(smmuv3_s1_map(&dev->s1, va_r, r, 4096, S1_RW));
	FACT(smmuv3_s1_map(&dev->s1, va_none, none, 4096, S1_RW));
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	/* Reads first: QEMU's TLB drops the read restriction of stage 2 */
	dma_read_blocked(dev, va_w, vm_page(vm, 1));
	dma_writes(dev, va_w, vm_page(vm, 1));
	dma_reads(dev, va_r, vm_page(vm, 2));
	dma_write_blocked(dev, va_r, vm_page(vm, 2));
	dma_write_blocked(dev, va_none, vm_page(vm, 3));
	dma_read_blocked(dev, va_none, vm_page(vm, 3));
}

TEST_F(nested, block)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 size = smmuv3_s1_block_size(&dev->s1);
	__u64 va = (GUEST_VA + 4 * size) & ~(size - 1);

	FACT(smmuv3_s1_map_block(&dev->s1, va, DATA_IPA & ~(size - 1), S1_RW));
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	va += DATA_IPA & (size - 1);
	dma_writes(dev, va + 3 * vm->page, vm_page(vm, 3));
	dma_reads(dev, va + 5 * vm->page, vm_page(vm, 5));
}

TEST_F(nested, bypass)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	/* Without a vDEVICE, like a VMM before its guest runs */
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &dev->hwpt);
	test_attach(dev, dev->hwpt);
	dma_prime(dev);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_reads(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
}

/* DMA is blocked both ways; the device's buffer shows it later */
static void check_blocked(struct __test_metadata *_metadata, struct vm *vm,
			  struct guest_dev *dev,
			  struct iommu_hwpt_arm_smmuv3 ste)
{
	test_attach(dev, vm->s2);
	dma_prime(dev);

	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, ste, &dev->hwpt);
	test_attach(dev, dev->hwpt);
	dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	dma_try_read(dev, vm_ipa(vm, 0), vm_page(vm, 0));

	test_attach(dev, vm->s2);
	dma_nothing_was_read(dev, vm_page(vm, 0));
}

TEST_F(nested, abort)
{
	check_blocked(_metadata, &self->vm, &self->dev, smmuv3_ste_abort());
}

TEST_F(nested, invalid)
{
	check_blocked(_metadata, &self->vm, &self->dev, smmuv3_ste_invalid());
}

TEST_F(nested, detached)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_detach(dev);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	dma_try_read(dev, GUEST_VA, vm_page(vm, 0));
	test_attach(dev, dev->hwpt);
	dma_nothing_was_read(dev, vm_page(vm, 0));
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
}

enum state { STAGE2, STAGE1_A, STAGE1_B, BYPASS, ABORT, INVALID, NR_STATES };

#define SAY_FROM_TO(_from, _to)						\
	TH_LOG("after state %u was replaced by %u", _from, _to)

static void check_state(struct __test_metadata *_metadata, struct vm *vm,
			struct guest_dev *dev, enum state from, enum state to)
{
	switch (to) {
	case STAGE1_A:
		dma_writes(dev, GUEST_VA, vm_page(vm, 0))
			SAY_FROM_TO(from, to);
		break;
	case STAGE1_B:
		dma_writes(dev, GUEST_VA, vm_page(vm, 1))
			SAY_FROM_TO(from, to);
		break;
	case STAGE2:
	case BYPASS:
		dma_writes(dev, vm_ipa(vm, 2), vm_page(vm, 2))
			SAY_FROM_TO(from, to);
		break;
	default:
		dma_write_blocked(dev, vm_ipa(vm, 2), vm_page(vm, 2))
			SAY_FROM_TO(from, to);
		dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0))
			SAY_FROM_TO(from, to);
	}
}

TEST_F_TIMEOUT(nested, replace, 120)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct iommu_hwpt_arm_smmuv3 ste[NR_STATES] = {
		[STAGE1_A] = smmuv3_ste_s1(dev->cd),
		[BYPASS] = smmuv3_ste_bypass(),
		[ABORT] = smmuv3_ste_abort(),
		[INVALID] = smmuv3_ste_invalid(),
	};
	__u32 hwpt[NR_STATES] = { [STAGE2] = vm->s2 };
	struct guest_dev b = *dev;
	unsigned int i, j;

	guest_dev_stage1(_metadata, &b, vm, OTHER_ASID, 1);
	ste[STAGE1_B] = smmuv3_ste_s1(b.cd);
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	for (i = STAGE2 + 1; i < NR_STATES; i++)
		test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, ste[i],
				    &hwpt[i]);

	test_attach(dev, vm->s2);
	dma_prime(dev);
	/* From each state to each state, including itself */
	for (i = 0; i < NR_STATES; i++) {
		for (j = 0; j < NR_STATES; j++) {
			test_attach(dev, hwpt[i]);
			test_attach(dev, hwpt[j]);
			check_state(_metadata, vm, dev, i, j);
		}
	}
}

/*
 * A guest can write anything into its vSTE, CD or tables. Broken ones block all
 * DMA, and a good stage 1 works before and after.
 */
TEST_F_TIMEOUT(nested, broken_stage1_harms_nobody, 60)
{
	const __u64 nowhere = TABLES_IPA + 0x10000000ULL;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u64 cd = smmuv3_cd_alloc(&vm->tables), *dw;
	const __u64 base = le64toh(smmuv3_ste_s1(cd).ste[0]);
	const struct {
		const char *name;
		__u64 ste[2];
		/* Value of each byte of the CD; -1: a good CD without tables */
		int cd;
	} broken[] = {
		{ "CD with V=0", { base, 0 }, 0x00 },
		{ "CD of ones", { base, 0 }, 0xff },
		{ "CD of fives", { base, 0 }, 0x55 },
		{ "CD not in stage 2", { (base & ~STE_0_S1CONTEXTPTR) | nowhere,
					 0 }, 0 },
		{ "CD in the MSI window", { (base & ~STE_0_S1CONTEXTPTR) |
					    MSI_WINDOW, 0 }, 0 },
		{ "CD at the end", { base | STE_0_S1CONTEXTPTR, 0 }, 0 },
		{ "reserved S1Fmt", { base | STE_0_S1FMT, 0 }, 0 },
		{ "largest S1CDMax", { base | STE_0_S1CDMAX, 0 }, 0 },
		{ "all there is", { base | STE_0_S1FMT | STE_0_S1CDMAX |
				    STE_0_S1CONTEXTPTR, STE_1_S1DSS |
				    STE_1_S1CIR | STE_1_S1COR | STE_1_S1CSH |
				    STE_1_S1STALLD }, 0 },
		{ "tables not in stage 2", { base, 0 }, -1 },
	};
	struct smmuv3_s1 s1 = dev->s1;
	unsigned int i;
	__u32 hwpt;

	s1.root = nowhere;
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		dw = smmuv3_mem_ptr(&vm->tables, cd);
		memset(dw, broken[i].cd, 64);
		if (broken[i].cd < 0)
			smmuv3_cd_write(&vm->tables, cd, &s1, OTHER_ASID,
					smmuv3_get(IDR5_OAS,
						   dev->info.idr[5]));
		test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
				    smmuv3_ste(broken[i].ste[0],
					       broken[i].ste[1]), &hwpt);
		test_attach(dev, hwpt);
		test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd_all(VSID));
		dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0))
			TH_LOG("%s", broken[i].name);
		dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0))
			TH_LOG("%s", broken[i].name);
		test_attach(dev, dev->hwpt);
		dma_writes(dev, GUEST_VA, vm_page(vm, 0))
			TH_LOG("after %s", broken[i].name);
		test_destroy(vm->fd, hwpt);
	}
}

/* ---- Granules ---- */

FIXTURE(granule)
{
	struct vm vm;
	struct guest_dev dev;
};

FIXTURE_VARIANT(granule)
{
	unsigned int shift;
	__u32 idr5;
	unsigned int tg;
};

FIXTURE_VARIANT_ADD(granule, 4k)
{
	.shift = 12,
	.idr5 = IDR5_GRAN4K,
	.tg = 1,
};

FIXTURE_VARIANT_ADD(granule, 16k)
{
	.shift = 14,
	.idr5 = IDR5_GRAN16K,
	.tg = 2,
};

FIXTURE_VARIANT_ADD(granule, 64k)
{
	.shift = 16,
	.idr5 = IDR5_GRAN64K,
	.tg = 3,
};

FIXTURE_SETUP(granule)
{
	nested_setup(_metadata, (FIXTURE_DATA(nested) *)self, NULL);
	if (_metadata->exit_code)
		return;
	if (!(self->dev.info.idr[5] & variant->idr5))
		SKIP(return, "the SMMU does not have this granule (IDR5)");
}

FIXTURE_TEARDOWN(granule)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

TEST_F(granule, translate_and_invalidate)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	const size_t big = 0x10000;
	const __u64 ipa = 0x200000000ULL;
	struct smmuv3_cmd cmd;
	struct smmuv3_s1 s1;
	void *p;

	/* Two buffers that are large enough for each granule */
	p = mmap(NULL, 2 * big, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	FACT(iommufd_ioas_map(vm->fd, vm->ioas, p, 2 * big, ipa,
			      READABLE | WRITEABLE));

	guest_s1_init(_metadata, dev, vm, &s1, variant->shift);
	FACT(smmuv3_s1_map(&s1, GUEST_VA, ipa, big, S1_RW));
	guest_cd_write(dev, vm, &s1, ASID);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, p);
	dma_reads(dev, GUEST_VA + big - 4096, p + big - 4096);

	FACT(smmuv3_s1_map(&s1, GUEST_VA, ipa + big, big, S1_RW));
	cmd = smmuv3_tlbi_nh_va(ASID, GUEST_VA, true);
	if (dev->info.idr[3] & IDR3_RIL)
		cmd = smmuv3_tlbi_range(cmd, variant->tg,
					(big >> variant->shift) - 1, 0, 3);
	else
		cmd = smmuv3_tlbi_nh_all();
	test_cmd(vm->fd, vm->viommu, cmd);
	dma_writes(dev, GUEST_VA, p + big);
	dma_reads(dev, GUEST_VA + big - 4096, p + 2 * big - 4096);
	munmap(p, 2 * big);
}

/* ---- Each TLBI makes a new page visible to the device ---- */

FIXTURE(tlbi)
{
	struct vm vm;
	struct guest_dev dev;
};

FIXTURE_VARIANT(tlbi)
{
	enum smmuv3_op op;
	bool leaf;
	/* TG, NUM, SCALE, TTL of a range invalidation; TG 0: no range */
	unsigned int tg;
	unsigned int num;
	unsigned int scale;
	unsigned int ttl;
};

FIXTURE_VARIANT_ADD(tlbi, nh_all)
{
	.op = OP_TLBI_NH_ALL,
};

FIXTURE_VARIANT_ADD(tlbi, nsnh_all)
{
	.op = OP_TLBI_NSNH_ALL,
};

FIXTURE_VARIANT_ADD(tlbi, nh_asid)
{
	.op = OP_TLBI_NH_ASID,
};

FIXTURE_VARIANT_ADD(tlbi, nh_va)
{
	.op = OP_TLBI_NH_VA,
};

FIXTURE_VARIANT_ADD(tlbi, nh_va_leaf)
{
	.op = OP_TLBI_NH_VA,
	.leaf = true,
};

FIXTURE_VARIANT_ADD(tlbi, nh_vaa)
{
	.op = OP_TLBI_NH_VAA,
};

FIXTURE_VARIANT_ADD(tlbi, nh_vaa_leaf)
{
	.op = OP_TLBI_NH_VAA,
	.leaf = true,
};

FIXTURE_VARIANT_ADD(tlbi, nh_va_range_one)
{
	.op = OP_TLBI_NH_VA,
	.leaf = true,
	.tg = 1,
	.ttl = 3,
};

FIXTURE_VARIANT_ADD(tlbi, nh_va_range_num)
{
	.op = OP_TLBI_NH_VA,
	.tg = 1,
	.num = 7,
};

FIXTURE_VARIANT_ADD(tlbi, nh_va_range_scale)
{
	.op = OP_TLBI_NH_VA,
	.leaf = true,
	.tg = 1,
	.scale = 3,
	.ttl = 3,
};

FIXTURE_VARIANT_ADD(tlbi, nh_vaa_range_num)
{
	.op = OP_TLBI_NH_VAA,
	.leaf = true,
	.tg = 1,
	.num = 7,
	.ttl = 3,
};

FIXTURE_VARIANT_ADD(tlbi, nh_vaa_range_scale)
{
	.op = OP_TLBI_NH_VAA,
	.tg = 1,
	.num = 1,
	.scale = 2,
};

FIXTURE_SETUP(tlbi)
{
	nested_setup(_metadata, (FIXTURE_DATA(nested) *)self, NULL);
	if (_metadata->exit_code)
		return;
	if (variant->tg && !(self->dev.info.idr[3] & IDR3_RIL))
		SKIP(return, "the SMMU has no range invalidation (IDR3.RIL)");
}

FIXTURE_TEARDOWN(tlbi)
{
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

TEST_F(tlbi, new_page_is_seen)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	unsigned int nr = 1, i;
	struct smmuv3_cmd cmd;

	switch (variant->op) {
	case OP_TLBI_NH_ASID:
		cmd = smmuv3_tlbi_nh_asid(ASID);
		break;
	case OP_TLBI_NH_VA:
		cmd = smmuv3_tlbi_nh_va(ASID, GUEST_VA, variant->leaf);
		break;
	case OP_TLBI_NH_VAA:
		cmd = smmuv3_tlbi_nh_vaa(GUEST_VA, variant->leaf);
		break;
	default:
		cmd = smmuv3_cmd_op(variant->op);
	}
	if (variant->tg) {
		nr = (variant->num + 1) << variant->scale;
		cmd = smmuv3_tlbi_range(cmd, variant->tg, variant->num,
					variant->scale, variant->ttl);
	}

	/* Cache the first and the last page of the range */
	for (i = 0; i < nr; i++)
		FACT(smmuv3_s1_map(&dev->s1, GUEST_VA + i * 4096,
				   vm_ipa(vm, 0), 4096, S1_RW));
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	dma_writes(dev, GUEST_VA + (nr - 1) * 4096, vm_page(vm, 0));

	for (i = 0; i < nr; i++)
		FACT(smmuv3_s1_map(&dev->s1, GUEST_VA + i * 4096,
				   vm_ipa(vm, 1), 4096, S1_RW));
	/* Both pages are allowed until here, then only the new one */
	test_cmd(vm->fd, vm->viommu, cmd);
	dma_writes(dev, GUEST_VA, vm_page(vm, 1));
	dma_reads(dev, GUEST_VA + (nr - 1) * 4096, vm_page(vm, 1));

	/* An unmapped page is unreachable */
	FACT(smmuv3_s1_unmap(&dev->s1, GUEST_VA, nr * 4096));
	test_cmd(vm->fd, vm->viommu, cmd);
	dma_write_blocked(dev, GUEST_VA + (nr - 1) * 4096, vm_page(vm, 1));
}

/* ---- Context descriptors ---- */

static void check_cfgi(struct __test_metadata *_metadata, struct vm *vm,
		       struct guest_dev *dev, struct smmuv3_cmd cmd)
{
	struct smmuv3_s1 s1;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));

	/* Another table and ASID, so that no TLB holds any entry of them */
	guest_s1_init(_metadata, dev, vm, &s1, 12);
	FACT(smmuv3_s1_map(&s1, GUEST_VA, vm_ipa(vm, 1), 4096, S1_RW));
	guest_cd_write(dev, vm, &s1, OTHER_ASID);
	test_cmd(vm->fd, vm->viommu, cmd);
	dma_writes(dev, GUEST_VA, vm_page(vm, 1));
	dma_reads(dev, GUEST_VA, vm_page(vm, 1));
}

TEST_F(nested, cfgi_cd)
{
	check_cfgi(_metadata, &self->vm, &self->dev,
		   smmuv3_cfgi_cd(VSID, 0, true));
}

TEST_F(nested, cfgi_cd_all)
{
	check_cfgi(_metadata, &self->vm, &self->dev, smmuv3_cfgi_cd_all(VSID));
}

/* ---- Stage 2 changes under a guest's stage 1 ---- */

TEST_F(nested, unmap_page)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	dma_reads(dev, GUEST_VA, vm_page(vm, 0));

	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	dma_read_blocked(dev, GUEST_VA, vm_page(vm, 0));

	/* A new mapping in its place needs no command of the guest */
	test_ioas_map(vm, 3, vm_ipa(vm, 0), READABLE | WRITEABLE);
	dma_writes(dev, GUEST_VA, vm_page(vm, 3));
	dma_reads(dev, GUEST_VA, vm_page(vm, 3));
}

TEST_F(nested, unmap_page_bypass)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &dev->hwpt);
	test_attach(dev, dev->hwpt);
	dma_prime(dev);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_read_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	test_ioas_map(vm, 3, vm_ipa(vm, 0), READABLE | WRITEABLE);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 3));
}

TEST_F(nested, unmap_page_stage2)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	test_attach(dev, vm->s2);
	dma_prime(dev);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_read_blocked(dev, vm_ipa(vm, 0), vm_page(vm, 0));
}

TEST_F(nested, unmap_large)
{
	static const size_t sizes[] = { 0x200000, 0x2000000 };
	const __u64 ipa = 0x200000000ULL;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	unsigned int s, i;
	__u64 off[3];
	void *p;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		size_t size = sizes[s];

		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, p);
		FACT(iommufd_ioas_map(vm->fd, vm->ioas, p, size, ipa,
				      READABLE | WRITEABLE));
		off[0] = 0;
		off[1] = size / 2;
		off[2] = size - 4096;
		for (i = 0; i < ARRAY_SIZE(off); i++) {
			FACT(smmuv3_s1_map(&dev->s1, GUEST_VA + off[i],
					   ipa + off[i], 4096, S1_RW));
			/* An earlier round cached the first of these */
			test_cmd(vm->fd, vm->viommu,
				 smmuv3_tlbi_nh_va(ASID, GUEST_VA + off[i],
						   true));
			dma_writes(dev, GUEST_VA + off[i], p + off[i]);
		}
		test_ioas_unmap(vm, ipa, size);
		for (i = 0; i < ARRAY_SIZE(off); i++) {
			dma_write_blocked(dev, GUEST_VA + off[i], p + off[i]);
			dma_read_blocked(dev, GUEST_VA + off[i], p + off[i]);
		}
		munmap(p, size);
	}
}

TEST_F(nested, unmap_tables)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	/* The tables, too, are read through stage 2 */
	test_ioas_unmap(vm, TABLES_IPA, TABLES_SIZE);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));

	FACT(iommufd_ioas_map(vm->fd, vm->ioas, vm->tables.va, TABLES_SIZE,
			      TABLES_IPA, READABLE | WRITEABLE));
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
}

TEST_F(nested, unmap_all)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_ioas_unmap(vm, 0, ~0ULL);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	dma_try_read(dev, GUEST_VA, vm_page(vm, 0));

	FACT(iommufd_ioas_map(vm->fd, vm->ioas, vm->tables.va, TABLES_SIZE,
			      TABLES_IPA, READABLE | WRITEABLE));
	test_ioas_map(vm, NR_DATA - 1, dev->edu.mbox_iova,
		      READABLE | WRITEABLE);
	dma_nothing_was_read(dev, vm_page(vm, 0));
}

/* TLB entries of a detached nested HWPT must not outlive stage 2's mapping */
TEST_F(nested, unmap_while_not_attached)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_detach(dev);
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	test_ioas_map(vm, 3, vm_ipa(vm, 0), READABLE | WRITEABLE);
	test_attach(dev, dev->hwpt);
	dma_writes(dev, GUEST_VA, vm_page(vm, 3));
	dma_reads(dev, GUEST_VA, vm_page(vm, 3));
}

/* ---- MSI ---- */

#define test_msi(_gdev, _efd)						\
	ASSERT_TRUE(msi_arrives(_gdev, _efd, MSI_WAIT_MSEC))
#define test_no_msi(_gdev, _efd)					\
	ASSERT_FALSE(msi_arrives(_gdev, _efd, MSI_ABSENT_MSEC))

TEST_F(nested, msi_set_up_while_nested)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);
	test_msi(dev, efd);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));

	test_attach(dev, vm->s2);
	test_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

TEST_F(nested, msi_set_up_before)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);
	__u32 bypass, abort;

	ASSERT_LE(0, efd);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &bypass);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_abort(),
			    &abort);

	test_attach(dev, vm->s2);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_msi(dev, efd);
	test_attach(dev, bypass);
	test_msi(dev, efd);
	test_attach(dev, abort);
	test_no_msi(dev, efd);
	test_attach(dev, dev->hwpt);
	test_msi(dev, efd);
	test_attach(dev, vm->s2);
	test_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

TEST_F(nested, msi_set_up_while_bypassed)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);
	__u32 bypass;

	ASSERT_LE(0, efd);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &bypass);
	test_attach(dev, bypass);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

/* The doorbell is mapped in stage 2 only; stage 1 is up to the guest */
TEST_F(nested, msi_not_in_stage1)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);
	FACT(smmuv3_s1_unmap(&dev->s1, MSI_WINDOW, MSI_WINDOW_SIZE));
	test_cmd(vm->fd, vm->viommu, smmuv3_tlbi_nh_all());
	test_no_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

/* A doorbell has the same IOVA in each domain of an iommufd */
TEST_F(nested, msi_follows_to_another_stage2)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);
	__u32 ioas, s2;

	ASSERT_LE(0, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);

	FACT(iommufd_ioas_alloc(vm->fd, &ioas));
	test_hwpt_alloc(vm->fd, dev->id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
			&s2);
	test_attach(dev, s2);
	test_msi(dev, efd);
	test_attach(dev, dev->hwpt);
	test_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

/* Detaching the device removes the kernel's mappings from the MSI window */
TEST_F(nested, msi_window_is_free_after_detach)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, efd);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	FACT(vfio_pci_set_msi(&dev->pci, efd));
	test_msi(dev, efd);
	REFUSED(EINVAL, vm_map(vm, 0, MSI_WINDOW, READABLE | WRITEABLE));

	test_detach(dev);
	test_ioas_map(vm, 0, MSI_WINDOW, READABLE | WRITEABLE);
	test_err_attach(EADDRINUSE, dev, dev->hwpt);
	test_ioas_unmap(vm, MSI_WINDOW, vm->page);

	test_attach(dev, dev->hwpt);
	test_msi(dev, efd);
	/* A refused replace does not remove them */
	test_destroy(vm->fd, dev->vdev);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(dev->cd), &dev->hwpt);
	test_err_attach(ENOENT, dev, dev->hwpt);
	test_msi(dev, efd);
	FACT(vfio_pci_set_msi(&dev->pci, -1));
	close(efd);
}

/* ---- Lifetimes ---- */

TEST_F(nested, destroy_in_order)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_err_destroy(EBUSY, vm->fd, dev->id);
	test_err_destroy(EBUSY, vm->fd, vm->ioas);
	test_err_destroy(EBUSY, vm->fd, vm->s2);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_err_destroy(EBUSY, vm->fd, dev->hwpt);
	test_err_destroy(ENOENT, vm->fd, ID_UNKNOWN);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));

	test_detach(dev);
	/* The HWPT and the vDEVICE each hold the vIOMMU */
	test_destroy(vm->fd, dev->hwpt);
	test_err_destroy(ENOENT, vm->fd, dev->hwpt);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_abort(),
			    &dev->hwpt);
	test_destroy(vm->fd, dev->vdev);
	test_err_destroy(ENOENT, vm->fd, dev->vdev);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_destroy(vm->fd, dev->hwpt);

	test_err_destroy(EBUSY, vm->fd, vm->s2);
	test_destroy(vm->fd, vm->viommu);
	test_err_destroy(ENOENT, vm->fd, vm->viommu);
	test_err_destroy(EBUSY, vm->fd, vm->ioas);
	test_destroy(vm->fd, vm->s2);
	test_destroy(vm->fd, vm->ioas);
}

TEST_F(nested, stage2_attached_is_busy)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	test_attach(dev, vm->s2);
	test_destroy(vm->fd, vm->viommu);
	test_err_destroy(EBUSY, vm->fd, vm->s2);
	test_detach(dev);
	test_destroy(vm->fd, vm->s2);
}

TEST_F(nested, vdevice_destroyed_while_attached)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));

	test_destroy(vm->fd, dev->vdev);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_err_cmd(EIO, vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	test_err_cmd(EIO, vm->fd, vm->viommu, smmuv3_cfgi_cd_all(VSID));

	/* Commands without a SID still work */
	FACT(smmuv3_s1_map(&dev->s1, GUEST_VA, vm_ipa(vm, 1), 4096, S1_RW));
	test_cmd(vm->fd, vm->viommu, smmuv3_tlbi_nh_asid(ASID));
	dma_writes(dev, GUEST_VA, vm_page(vm, 1));

	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, OTHER_VSID, &dev->vdev);
	test_err_cmd(EIO, vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(OTHER_VSID, 0, true));
}

TEST_F(nested, attach_needs_vdevice)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u32 s1, bypass, abort, invalid;

	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(dev->cd), &s1);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &bypass);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_abort(),
			    &abort);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_invalid(),
			    &invalid);
	test_err_attach(ENOENT, dev, s1);
	test_attach(dev, abort);
	test_attach(dev, invalid);
	test_attach(dev, bypass);
	dma_prime(dev);

	/* A refused attach keeps the old HWPT */
	test_err_attach(ENOENT, dev, s1);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));

	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	test_attach(dev, s1);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
}

/* An attached HWPT works on without a vDEVICE, also after a refused attach */
TEST_F(nested, refused_after_vdevice_is_gone)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u32 other;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(dev->cd), &other);
	test_destroy(vm->fd, dev->vdev);

	test_err_attach(ENOENT, dev, other);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_attach(dev, dev->hwpt);
	dma_reads(dev, GUEST_VA, vm_page(vm, 0));

	/* After a detach the vDEVICE is needed again */
	test_attach(dev, vm->s2);
	test_err_attach(ENOENT, dev, dev->hwpt);
	dma_writes(dev, vm_ipa(vm, 0), vm_page(vm, 0));
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	test_attach(dev, dev->hwpt);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
}

TEST_F(nested, unbind_leaves_a_tombstone)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	__u32 vdev, hwpt, id, num = 1;
	struct smmuv3_cmd cmd = smmuv3_tlbi_nh_all();
	unsigned int i;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	vdev = dev->vdev;
	hwpt = dev->hwpt;
	test_err_destroy(EBUSY, vm->fd, hwpt);

	guest_dev_close(dev);
	test_err_destroy(ENOENT, vm->fd, vdev);
	REFUSED(ENOENT, iommufd_invalidate(vm->fd, vdev,
					   IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					   &cmd, sizeof(cmd), &num));
	/* The HWPT is no longer attached */
	test_destroy(vm->fd, hwpt);

	for (i = 0; i < 64; i++) {
		FACT(iommufd_ioas_alloc(vm->fd, &id));
		ASSERT_NE(vdev, id);
	}

	/* The vSID is free again, the object id is not */
	guest_dev_open(_metadata, dev, vm, 0);
	guest_dev_stage1(_metadata, dev, vm, ASID, 1);
	ASSERT_NE(vdev, dev->id);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	ASSERT_NE(vdev, dev->vdev);
	dma_writes(dev, GUEST_VA, vm_page(vm, 1));
	test_err_destroy(ENOENT, vm->fd, vdev);
}

/* ---- Two devices in one group: both are attached, or none ---- */

#define GROUP_A		2
#define GROUP_B		3

FIXTURE(group)
{
	struct vm vm;
	struct guest_dev a;
	struct guest_dev b;
};

FIXTURE_SETUP(group)
{
	struct vm *vm = &self->vm;
	const char *why = guest_init_pair(_metadata, vm, &self->a, &self->b,
					  GROUP_A);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_TRUE(guest_dev_same_group(&self->a, &self->b));

	/* Both devices share stage 1 */
	FACT(smmuv3_s1_map(&self->a.s1, self->b.edu.mbox_iova,
			   self->b.edu.mbox_iova, 4096, S1_RW));
	test_attach(&self->a, vm->s2);
	test_attach(&self->b, vm->s2);
	dma_prime(&self->a);
	dma_prime(&self->b);
}

FIXTURE_TEARDOWN(group)
{
	guest_dev_close(&self->b);
	guest_dev_close(&self->a);
	vm_close(&self->vm);
}

TEST_F(group, refused_by_one)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	__u32 s1, other, other_viommu, moved;
	struct vm *vm = &self->vm;

	test_hwpt_alloc_ste(vm->fd, a->id, vm->viommu, smmuv3_ste_s1(a->cd),
			    &s1);
	test_hwpt_alloc_ste(vm->fd, a->id, vm->viommu, smmuv3_ste_s1(a->cd),
			    &other);
	test_vdevice_alloc(vm->fd, vm->viommu, a->id, VSID, &a->vdev);
	test_err_attach(ENOENT, a, s1);
	test_err_attach(ENOENT, b, s1);
	dma_writes(a, vm_ipa(vm, 0), vm_page(vm, 0));
	dma_writes(b, vm_ipa(vm, 1), vm_page(vm, 1));

	test_vdevice_alloc(vm->fd, vm->viommu, b->id, OTHER_VSID, &b->vdev);
	test_attach(a, s1);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_reads(b, GUEST_VA, vm_page(vm, 0));

	/* Refused, and back to an HWPT whose vDEVICE no longer exists */
	test_destroy(vm->fd, b->vdev);
	test_err_attach(ENOENT, a, other);
	test_err_attach(ENOENT, b, other);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, GUEST_VA, vm_page(vm, 0));
	test_destroy(vm->fd, a->vdev);
	test_err_attach(ENOENT, a, other);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_reads(b, GUEST_VA, vm_page(vm, 0));

	/* Refused for the second device, so the first one returns */
	test_viommu_alloc(vm->fd, a->id, vm->s2, &other_viommu);
	test_vdevice_alloc(vm->fd, other_viommu, a->id, VSID, &a->vdev);
	test_hwpt_alloc_ste(vm->fd, a->id, other_viommu, smmuv3_ste_s1(a->cd),
			    &moved);
	test_err_attach(ENOENT, a, moved);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_reads(b, GUEST_VA, vm_page(vm, 0));
	test_destroy(vm->fd, moved);
	test_destroy(vm->fd, a->vdev);
	test_destroy(vm->fd, other_viommu);

	/* No device is left on the list of a stage 2 */
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(a, GUEST_VA, vm_page(vm, 0));
	dma_write_blocked(b, GUEST_VA, vm_page(vm, 0));
	test_detach(a);
	test_detach(b);
	test_destroy(vm->fd, s1);
	test_destroy(vm->fd, other);
	test_destroy(vm->fd, vm->viommu);
	test_destroy(vm->fd, vm->s2);
}

/* The device that attached the group first is also unbound first */
TEST_F(group, msi_after_the_first_is_unbound)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;
	int efd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, efd);
	guest_dev_close(a);
	FACT(vfio_pci_set_msi(&b->pci, efd));
	test_msi(b, efd);
	dma_writes(b, vm_ipa(vm, 1), vm_page(vm, 1));
	FACT(vfio_pci_set_msi(&b->pci, -1));
	close(efd);
}

/* ---- Two devices ---- */

FIXTURE(pair)
{
	struct vm vm;
	struct guest_dev a;
	struct guest_dev b;
	__u32 viommu_b;
};

FIXTURE_SETUP(pair)
{
	/* The same VA and ASID lead to different pages */
	const char *why = guest_init_apart(_metadata, &self->vm, &self->a,
					   &self->b, ASID, &self->viommu_b);

	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(pair)
{
	guest_dev_close(&self->b);
	guest_dev_close(&self->a);
	vm_close(&self->vm);
}

TEST_F(pair, vmids_keep_guests_apart)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, self->viommu_b, VSID);

	/* With the translations of both in the TLB */
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, GUEST_VA, vm_page(vm, 1));
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_reads(b, GUEST_VA, vm_page(vm, 1));

	FACT(smmuv3_s1_map(&b->s1, GUEST_VA, vm_ipa(vm, 2), 4096, S1_RW));
	test_cmd(vm->fd, self->viommu_b, smmuv3_tlbi_nh_all());
	dma_writes(b, GUEST_VA, vm_page(vm, 2));
	dma_writes(a, GUEST_VA, vm_page(vm, 0));

	FACT(smmuv3_s1_map(&a->s1, GUEST_VA, vm_ipa(vm, 3), 4096, S1_RW));
	test_cmd(vm->fd, vm->viommu, smmuv3_tlbi_nh_va(ASID, GUEST_VA, true));
	dma_writes(a, GUEST_VA, vm_page(vm, 3));
	dma_writes(b, GUEST_VA, vm_page(vm, 2));
}

/* A device that moves to another vIOMMU leaves its translations behind */
TEST_F(pair, device_changes_viommu)
{
	struct guest_dev *a = &self->a;
	struct guest_dev moved = *a;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	test_detach(a);
	test_destroy(vm->fd, a->vdev);

	FACT(smmuv3_s1_map(&self->b.s1, a->edu.mbox_iova, a->edu.mbox_iova,
			   4096, S1_RW));
	moved.cd = self->b.cd;
	attach_stage1(_metadata, vm, &moved, self->viommu_b, VSID);
	dma_writes(&moved, GUEST_VA, vm_page(vm, 1));
}

TEST_F(pair, unmap_reaches_both)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;

	FACT(smmuv3_s1_map(&b->s1, GUEST_VA, vm_ipa(vm, 0), 4096, S1_RW));
	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, self->viommu_b, VSID);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, GUEST_VA, vm_page(vm, 0));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(a, GUEST_VA, vm_page(vm, 0));
	dma_write_blocked(b, GUEST_VA, vm_page(vm, 0));
	dma_read_blocked(a, GUEST_VA, vm_page(vm, 0));
	dma_read_blocked(b, GUEST_VA, vm_page(vm, 0));
}

TEST_F(pair, unmap_reaches_nested_and_direct)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	test_attach(b, vm->s2);
	dma_prime(b);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, vm_ipa(vm, 0), vm_page(vm, 0));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(a, GUEST_VA, vm_page(vm, 0));
	dma_write_blocked(b, vm_ipa(vm, 0), vm_page(vm, 0));

	/* Detaching one device does not affect the other */
	test_detach(a);
	test_ioas_map(vm, 3, vm_ipa(vm, 0), READABLE | WRITEABLE);
	dma_writes(b, vm_ipa(vm, 0), vm_page(vm, 3));
	test_ioas_unmap(vm, vm_ipa(vm, 0), vm->page);
	dma_write_blocked(b, vm_ipa(vm, 0), vm_page(vm, 3));
}

TEST_F(pair, one_viommu_two_devices)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;

	/* Two devices of one guest share a CD, so one TLBI serves both */
	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	test_vdevice_alloc(vm->fd, vm->viommu, b->id, OTHER_VSID, &b->vdev);
	FACT(smmuv3_s1_map(&a->s1, b->edu.mbox_iova, b->edu.mbox_iova, 4096,
			   S1_RW));
	test_attach(b, a->hwpt);
	dma_prime(b);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, GUEST_VA, vm_page(vm, 0));
	test_err_destroy(EBUSY, vm->fd, a->hwpt);

	FACT(smmuv3_s1_map(&a->s1, GUEST_VA, vm_ipa(vm, 2), 4096, S1_RW));
	test_cmd(vm->fd, vm->viommu, smmuv3_tlbi_nh_va(ASID, GUEST_VA, true));
	dma_writes(a, GUEST_VA, vm_page(vm, 2));
	dma_writes(b, GUEST_VA, vm_page(vm, 2));

	test_detach(a);
	test_err_destroy(EBUSY, vm->fd, a->hwpt);
	dma_writes(b, GUEST_VA, vm_page(vm, 2));
	test_detach(b);
	test_destroy(vm->fd, a->hwpt);
}

TEST_F(pair, vsids_belong_to_their_viommu)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;
	__u32 bypass;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, self->viommu_b, OTHER_VSID);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	test_cmd(vm->fd, self->viommu_b, smmuv3_cfgi_cd(OTHER_VSID, 0, true));
	test_err_cmd(EIO, vm->fd, vm->viommu,
		     smmuv3_cfgi_cd(OTHER_VSID, 0, true));
	test_err_cmd(EIO, vm->fd, self->viommu_b,
		     smmuv3_cfgi_cd(VSID, 0, true));

	/* A vDEVICE on another vIOMMU does not count */
	test_err_attach(ENOENT, b, a->hwpt);
	dma_writes(b, GUEST_VA, vm_page(vm, 1));
	test_hwpt_alloc_ste(vm->fd, b->id, vm->viommu, smmuv3_ste_bypass(),
			    &bypass);
	test_attach(b, bypass);
	dma_writes(b, vm_ipa(vm, 1), vm_page(vm, 1));
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
}

TEST_F(pair, virt_id_becomes_free)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;

	test_vdevice_alloc(vm->fd, vm->viommu, a->id, VSID, &a->vdev);
	test_err_vdevice_alloc(EEXIST, vm->fd, vm->viommu, b->id, VSID,
			       &b->vdev);
	guest_dev_close(a);
	test_vdevice_alloc(vm->fd, vm->viommu, b->id, VSID, &b->vdev);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd_all(VSID));
}

/* ---- Teardown ---- */

FIXTURE(teardown)
{
	struct vm vm;
	struct guest_dev a;
	struct guest_dev b;
};

FIXTURE_SETUP(teardown)
{
	const char *why = guest_init_pair(_metadata, &self->vm, &self->a,
					  &self->b, 0);

	if (why)
		SKIP(return, "%s", why);
	guest_dev_close(&self->b);
	guest_dev_close(&self->a);
	vm_close(&self->vm);
}

FIXTURE_TEARDOWN(teardown)
{
}

static void guest_start(struct __test_metadata *_metadata, struct vm *vm,
			struct guest_dev *a, struct guest_dev *b)
{
	ASSERT_EQ(NULL, guest_init_pair(_metadata, vm, a, b, 0));
	guest_dev_stage1(_metadata, b, vm, OTHER_ASID, 1);
	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, vm->viommu, OTHER_VSID);
	dma_writes(a, GUEST_VA, vm_page(vm, 0));
	dma_writes(b, GUEST_VA, vm_page(vm, 1));
}

TEST_F_TIMEOUT(teardown, close_in_any_order, 120)
{
	static const unsigned int order[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		guest_start(_metadata, vm, a, b);
		for (j = 0; j < 3; j++) {
			switch (order[i][j]) {
			case 0:
				FACT(close(vm->fd));
				break;
			case 1:
				guest_dev_close(a);
				break;
			case 2:
				guest_dev_close(b);
				break;
			}
			/* The remaining devices still work */
			if (!j && a->pci.fd >= 0)
				dma_writes(a, GUEST_VA, vm_page(vm, 0));
			if (!j && b->pci.fd >= 0)
				dma_writes(b, GUEST_VA, vm_page(vm, 1));
		}
		munmap(vm->data, NR_DATA * vm->page);
		munmap(vm->tables.va, TABLES_SIZE);
	}
	guest_start(_metadata, vm, a, b);
}

TEST_F_TIMEOUT(teardown, killed, 120)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	struct vm *vm = &self->vm;
	struct doomed doomed;

	if (doomed_start(_metadata, &doomed)) {
		guest_start(_metadata, vm, a, b);
		/* Killed during a transfer */
		edu_start_store(&a->edu, GUEST_VA, EDU_DMA_LEN);
		doomed_is_ready(&doomed);
		for (;;)
			pause();
	}
	doomed_kill(_metadata, &doomed, 0);

	guest_start(_metadata, vm, a, b);
	dma_reads(a, GUEST_VA, vm_page(vm, 0));
	dma_reads(b, GUEST_VA, vm_page(vm, 1));
}

/* A request of maximum size ends with its task */
TEST_F_TIMEOUT(teardown, killed_while_invalidating, 120)
{
	struct guest_dev *a = &self->a, *b = &self->b;
	const __u32 max = 0x80000;
	struct vm *vm = &self->vm;
	struct smmuv3_cmd *cmds;
	struct doomed doomed;
	__u32 i;

	cmds = mmap(NULL, max * sizeof(*cmds), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmds);
	for (i = 0; i < max; i++)
		cmds[i] = smmuv3_tlbi_nh_asid(OTHER_ASID);

	if (doomed_start(_metadata, &doomed)) {
		guest_start(_metadata, vm, a, b);
		doomed_is_ready(&doomed);
		for (;;) {
			__u32 num = max;

			if (iommufd_invalidate(vm->fd, vm->viommu,
					       IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					       cmds, sizeof(*cmds), &num))
				_exit(2);
		}
	}
	doomed_kill(_metadata, &doomed, 20000);

	guest_start(_metadata, vm, a, b);
	munmap(cmds, max * sizeof(*cmds));
}

/* ---- Races ---- */

#define RACE_SEC	3

/* Racing threads; each accepts the errnos that the others can cause */
struct race {
	struct vm *vm;
	struct guest_dev *a;
	struct guest_dev *b;
	__u32 bypass;
	time_t end;
	bool failed;
};

static bool race_goes_on(struct race *race)
{
	return time(NULL) < race->end &&
	       !__atomic_load_n(&race->failed, __ATOMIC_RELAXED);
}

static void race_check(struct race *race, const char *what, int ret,
		       int errno1, int errno2)
{
	if (!ret || ret == -errno1 || ret == -errno2)
		return;
	ksft_print_msg("%s: %s\n", what, strerror(-ret));
	__atomic_store_n(&race->failed, true, __ATOMIC_RELAXED);
}

static void *race_invalidate(void *arg)
{
	struct race *race = arg;
	struct smmuv3_cmd cmds[100];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		cmds[i] = i % 2 ? smmuv3_cfgi_cd(OTHER_VSID, 0, true) :
				  smmuv3_tlbi_nh_va(ASID, GUEST_VA, true);
	while (race_goes_on(race)) {
		__u32 num = ARRAY_SIZE(cmds);
		int ret;

		ret = iommufd_invalidate(race->vm->fd, race->vm->viommu,
					 IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					 cmds, sizeof(cmds[0]), &num);
		/* Another thread creates and destroys OTHER_VSID */
		race_check(race, "invalidate", ret, EIO, 0);
		if (ret ? num % 2 != 1 : num != ARRAY_SIZE(cmds))
			race_check(race, "entry_num", -EPROTO, 0, 0);
	}
	return NULL;
}

static void *race_vdevice(void *arg)
{
	struct race *race = arg;
	__u32 id;

	while (race_goes_on(race)) {
		int ret = iommufd_vdevice_alloc(race->vm->fd, race->vm->viommu,
						race->b->id, OTHER_VSID, &id);

		race_check(race, "vdevice alloc", ret, EEXIST, 0);
		if (!ret)
			race_check(race, "vdevice destroy",
				   iommufd_destroy(race->vm->fd, id), EBUSY,
				   ENOENT);
	}
	return NULL;
}

static void *race_attach(void *arg)
{
	struct race *race = arg;
	struct vfio_pci *b = &race->b->pci;

	while (race_goes_on(race)) {
		/* Stage 1 needs the vDEVICE, which exists only at times */
		race_check(race, "attach stage 1",
			   vfio_pci_attach(b, race->a->hwpt), ENOENT, 0);
		race_check(race, "attach stage 2",
			   vfio_pci_attach(b, race->vm->s2), 0, 0);
		race_check(race, "attach bypass",
			   vfio_pci_attach(b, race->bypass), 0, 0);
		race_check(race, "detach", vfio_pci_detach(b), 0, 0);
	}
	return NULL;
}

static void *race_stage2(void *arg)
{
	struct race *race = arg;
	struct vm *vm = race->vm;
	__u64 ipa = vm_ipa(vm, NR_DATA + 8);

	while (race_goes_on(race)) {
		race_check(race, "map",
			   vm_map(vm, 8, ipa, READABLE | WRITEABLE), 0, 0);
		race_check(race, "unmap", vm_unmap(vm, ipa, vm->page), 0, 0);
	}
	return NULL;
}

static void *race_viommu(void *arg)
{
	struct race *race = arg;
	int fd = race->vm->fd;
	__u32 id, hwpt;

	while (race_goes_on(race)) {
		race_check(race, "viommu alloc",
			   iommufd_viommu_alloc(fd, race->a->id, race->vm->s2,
						IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
						&id), 0, 0);
		race_check(race, "nested alloc",
			   iommufd_hwpt_alloc_ste(fd, race->a->id, id,
						  smmuv3_ste_abort(), &hwpt),
			   0, 0);
		race_check(race, "nested destroy", iommufd_destroy(fd, hwpt),
			   0, 0);
		race_check(race, "viommu destroy", iommufd_destroy(fd, id),
			   0, 0);
	}
	return NULL;
}

static void *race_vdevice_unbind(void *arg)
{
	struct race *race = arg;
	__u32 id;

	while (race_goes_on(race)) {
		__u32 dev = __atomic_load_n(&race->b->id, __ATOMIC_RELAXED);
		int ret;

		ret = iommufd_vdevice_alloc(race->vm->fd, race->vm->viommu, dev,
					    OTHER_VSID, &id);
		race_check(race, "vdevice alloc", ret, EEXIST, ENOENT);
		/* Leave every other one to the unbind */
		if (!ret && id % 2)
			race_check(race, "vdevice destroy",
				   iommufd_destroy(race->vm->fd, id), EBUSY,
				   ENOENT);
	}
	return NULL;
}

static void *race_unbind(void *arg)
{
	struct race *race = arg;
	struct guest_dev *b = race->b;

	while (race_goes_on(race)) {
		vfio_pci_close(&b->pci);
		race_check(race, "open", vfio_pci_open(&b->pci), 0, 0);
		race_check(race, "bind",
			   vfio_pci_bind_iommufd(&b->pci, race->vm->fd), 0, 0);
		__atomic_store_n(&b->id, b->pci.dev_id, __ATOMIC_RELAXED);
		race_check(race, "attach bypass",
			   vfio_pci_attach(&b->pci, race->bypass), 0, 0);
		race_check(race, "attach stage 1",
			   vfio_pci_attach(&b->pci, race->a->hwpt), ENOENT, 0);
	}
	return NULL;
}

static void race_run(struct __test_metadata *_metadata, struct race *race,
		     void *(*const racers[])(void *), unsigned int nr)
{
	struct guest_dev *a = race->a, *b = race->b;
	struct vm *vm = race->vm;
	pthread_t threads[8];
	unsigned int i;

	guest_start(_metadata, vm, a, b);
	test_detach(b);
	test_destroy(vm->fd, b->vdev);
	test_hwpt_alloc_ste(vm->fd, b->id, vm->viommu, smmuv3_ste_bypass(),
			    &race->bypass);

	race->end = time(NULL) + RACE_SEC;
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, racers[i],
					    race));
	/* Device A takes no part, and must not be affected */
	while (race_goes_on(race))
		dma_writes(a, GUEST_VA, vm_page(vm, 0));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	ASSERT_FALSE(race->failed);

	dma_reads(a, GUEST_VA, vm_page(vm, 0));
	test_destroy(vm->fd, b->hwpt);
	guest_dev_close(b);
	test_destroy(vm->fd, race->bypass);
}

TEST_F_TIMEOUT(teardown, all_at_once, 120)
{
	static void *(*const racers[])(void *) = {
		race_invalidate, race_invalidate, race_vdevice, race_vdevice,
		race_attach, race_stage2, race_viommu,
	};
	struct race race = { .vm = &self->vm, .a = &self->a, .b = &self->b };

	race_run(_metadata, &race, racers, ARRAY_SIZE(racers));
}

TEST_F_TIMEOUT(teardown, unbind_at_once, 120)
{
	static void *(*const racers[])(void *) = {
		race_invalidate, race_vdevice_unbind, race_vdevice_unbind,
		race_unbind, race_stage2,
	};
	struct race race = { .vm = &self->vm, .a = &self->a, .b = &self->b };

	race_run(_metadata, &race, racers, ARRAY_SIZE(racers));
}

TEST_HARNESS_MAIN
