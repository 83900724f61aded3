using System.CommandLine;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tool;

/// <summary>What all verbs share.</summary>
internal sealed class Shell(TextReader input)
{
    public TextReader Input => input;

    public Option<bool> Json { get; } = new("--json")
    {
        Description = "One JSON object on the standard output, and nothing else there.",
        Recursive = true,
    };

    public Option<int?> GpuDeviceId { get; } = new("--gpu-device-id")
    {
        Description = "The GPU to compute on, from 0; without it the CPU computes.",
        HelpName = "N",
        Recursive = true,
    };

    /// <summary>Those that are the library's; help asks its documentation for them.</summary>
    public List<OptionEntry> Options { get; } = [];
}
