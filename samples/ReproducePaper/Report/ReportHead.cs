using System.Xml.Linq;

namespace ReproducePaper.Report;

/// <summary>What was done, and the answer in one paragraph.</summary>
internal static class ReportHead
{
    public static object[] Of(StudyResults results, IReadOnlyList<Claim> claims)
    {
        StudySettings settings = results.Settings;
        int supported = claims.Count(claim => claim.Verdict == Verdict.Supports);
        int contradicted = claims.Count(claim => claim.Verdict == Verdict.Contradicts);
        return
        [
            new XElement("p", Text($"Preset {settings.Preset}: {settings.ModelName}, {settings.Rows} rows, {settings.WholeSteps} "),
                Text($"steps of {settings.StepRows}, rank {settings.Rank}, computed in {settings.ComputeType}. Rows, their "),
                "order, steps, schedule and seeds are the same for every method; method and learning rate differ."),
            new XElement("p", Text($"Of {claims.Count} claims of the paper that are looked at below, these data support {supported}, "),
                Text($"contradict {contradicted}, and cannot tell of {claims.Count - supported - contradicted}. A claim is decided only "),
                "where the 95 % interval of a difference, seed by seed, does not hold 0; one such interval in twenty misses by chance. ",
                settings.IsBundledTask
                    ? "The bundled model has 1.2 million parameters and learns sums in small stories: what is seen here need not hold for "
                        + "seven billion."
                    : ""),
            .. settings.IsBundledTask || settings.IsPeftProtocol ? Array.Empty<object>() : [Paper()],
        ];
    }

    private static string Text(FormattableString text) => FormattableString.Invariant(text);

    private static XElement Paper() => new("p",
        "The paper's Table 1 (GSM-8K / MATH, %), each method at one learning rate and one seed: Llama 2 7B: full 49.05 / 7.22, LoRA 42.30 "
        + "/ 5.50, PiSSA 53.07 / 7.44, SORSA 56.03 / 10.36. Mistral 7B: full 67.02 / 18.60, LoRA 67.70 / 19.68, PiSSA 72.86 / 21.54, SORSA "
        + "73.09 / 21.86.");
}
