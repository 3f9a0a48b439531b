/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM arm_smmu_v3

#if !defined(_ARM_SMMU_V3_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _ARM_SMMU_V3_TRACE_H

#include <linux/tracepoint.h>

#include "arm-smmu-v3.h"

TRACE_EVENT(arm_smmu_stage2_fault,
	    TP_PROTO(struct device *dev, u32 sid, u32 viommu, const u64 *evt),

	    TP_ARGS(dev, sid, viommu, evt),

	    TP_STRUCT__entry(__string(name, dev_name(dev))
			     __field(u32, sid)
			     __field(u32, viommu)
			     __field(u8, id)
			     __field(bool, read)
			     __field(u64, addr)
			     __field(u64, ipa)
	    ),

	    TP_fast_assign(__assign_str(name);
			   __entry->sid = sid;
			   __entry->viommu = viommu;
			   __entry->id = FIELD_GET(EVTQ_0_ID, evt[0]);
			   __entry->read = evt[1] & EVTQ_1_RnW;
			   __entry->addr = evt[2];
			   __entry->ipa = evt[3] & EVTQ_3_IPA;
	    ),

	    TP_printk("%s: stream=0x%x viommu=%u id=0x%02x %s addr=0x%llx ipa=0x%llx",
		      __get_str(name), __entry->sid, __entry->viommu,
		      __entry->id, __entry->read ? "read" : "write",
		      __entry->addr, __entry->ipa)
);

#endif /* _ARM_SMMU_V3_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE arm_smmu_v3_trace
#include <trace/define_trace.h>
