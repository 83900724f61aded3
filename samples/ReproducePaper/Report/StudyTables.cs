using System.Globalization;
using System.Text;

namespace ReproducePaper.Report;

/// <summary>The numbers as CSV (RFC 4180): table1.csv, runs.csv, steps.csv, matrices.csv and claims.csv.</summary>
internal static class StudyTables
{
    public static void Write(StudyFolder folder, StudyResults results)
    {
        RunResult[] runs = [results.Before, .. results.Reported, .. results.Gammas];
        string[] tests = [.. results.Before.Scores.Select(score => score.Name)];
        Write(folder, "table1.csv",
            [
                "method", "trainable parameters", "learning rate", .. tests.SelectMany(test => new[] { $"{test} accuracy", $"{test} ± over seeds", $"{test} Wilson lower", $"{test} Wilson upper" }),
                "text loss", "forgotten", "forgotten ± over seeds", "choices accuracy", "intruder dimensions", "seconds per step", "peak memory bytes", "diverged",
            ],
            TableRow.Of(results).Select(row => new object?[]
            {
                row.Method.Key, row.TrainableParameters, row.LearningRate,
                row.Tests.SelectMany(test => new object?[] { test.Accuracy, test.SeedInterval, test.QuestionInterval.Lower, test.QuestionInterval.Upper }),
                row.TextLoss, row.Forgetting, row.ForgettingInterval, row.Choices, row.Intruders, row.SecondsPerStep, row.PeakMemory, row.Diverged,
            }));
        Write(folder, "rates.csv", ["method", "learning rate", "validation loss", "best"],
            results.Rates.SelectMany(rate => rate.Losses.Select(tried => new object?[] { rate.Method.Key, tried.Rate, tried.Loss, tried.Rate == rate.Best })));
        Write(folder, "runs.csv",
            [
                "kind", "method", "learning rate", "gamma", "seed", "trainable parameters", "seconds per step", "peak memory bytes", "final loss",
                .. tests.Select(test => $"{test} right"), .. tests.Select(test => $"{test} asked"), "text loss", "choices right", "choices asked", "ΔD", "ΔΣ", "intruder dimensions",
                "divergence",
            ],
            runs.Select(run => new object?[]
            {
                run.Run.Kind, run.Run.Method, run.Run.LearningRate, run.Run.Gamma, run.Run.Seed, run.TrainableParameters, run.SecondsPerStep, run.PeakMemory, Curves.FinalLoss(run),
                tests.Select(test => (object?)Find(run, test)?.Correct), tests.Select(test => (object?)Find(run, test)?.Total), run.TextLoss, run.Choices?.Correct, run.Choices?.Total,
                PaperClaims.VectorChange(run), PaperClaims.ValueChange(run), PaperClaims.Intruders(run), run.Divergence,
            }));
        Write(folder, "steps.csv", ["kind", "method", "gamma", "seed", "step", "loss", "gradient norm", "orthonormality"],
            runs.SelectMany(run => run.Steps.Select(step => new object?[]
            {
                run.Run.Kind, run.Run.Method, run.Run.Gamma, run.Run.Seed, step.Step, step.Loss, step.GradientNorm, step.Orthonormality,
            })));
        Write(folder, "matrices.csv",
            ["kind", "method", "gamma", "seed", "step", "path", "layer", "module", "ΔΣ", "ΔD", "orthonormality", "effective rank", "intruder dimensions"],
            runs.SelectMany(run => run.Matrices.Select(matrix => new object?[]
            {
                run.Run.Kind, run.Run.Method, run.Run.Gamma, run.Run.Seed, matrix.Step, matrix.Path, matrix.Layer, matrix.Module, matrix.SingularValueChange,
                matrix.SingularVectorChange, matrix.Orthonormality, matrix.EffectiveRank, matrix.IntruderDimensions,
            })));
        Claim[] claims =
        [
            .. PaperClaims.OfTable1(results), .. PaperClaims.OfForgetting(results), .. PaperClaims.OfMatrices(results), .. PaperClaims.OfGamma(results),
            .. PaperClaims.OfConvergence(results),
        ];
        Write(folder, "claims.csv", ["claim", "verdict", "evidence"], claims.Select(claim => new object?[] { claim.Text, claim.VerdictText, claim.Evidence }));
    }

    private static Score? Find(RunResult run, string test) => run.Scores.FirstOrDefault(score => score.Name == test);

    private static void Write(StudyFolder folder, string name, string[] heads, IEnumerable<object?[]> rows)
    {
        var text = new StringBuilder();
        foreach (IEnumerable<object?> row in rows.Prepend(heads))
        {
            text.AppendJoin(',', row.SelectMany(cell => cell is IEnumerable<object?> cells ? cells : [cell]).Select(Cell)).Append("\r\n");
        }

        StudyFolder.Write(folder.PathOf(name), text.ToString());
    }

    private static string Cell(object? value)
    {
        string text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        return text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
